// node graphai.mjs FOLDER: GraphAI, installed in FOLDER, answers as bench/peers/lines.py says.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const say = (answer) => console.log(JSON.stringify(answer));

// The module is CommonJS and belongs to the folder, not to this file.
const require = createRequire(`${process.argv[2]}/`);
let library;
try {
  library = require("graphai");
} catch (error) {
  say({ error: "GraphAI is not installed" });
  process.exit(0);
}
const { GraphAI, agentInfoWrapper } = library;

const agents = {
  add: agentInfoWrapper(async ({ namedInputs }) => ({ n: namedInputs.n + 1 })),
  count: agentInfoWrapper(async ({ namedInputs }) => ({ n: namedInputs.items.length })),
};

say({
  versions: { graphai: require("graphai/package.json").version, node: process.version },
  durability: "none: in memory",
});

const graphs = new Map(); // documents come once, under a name, and are not parsed again
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    if (request.work === "graph") {
      graphs.set(request.name, request.document);
      say({});
      continue;
    }
    const document = graphs.get(request.name);
    const begin = performance.now();
    const results = await new GraphAI(document, agents).run();
    const seconds = (performance.now() - begin) / 1000;
    say({ seconds, result: Object.values(results)[0].n });
  } catch (error) {
    say({ error: String(error) });
  }
}
