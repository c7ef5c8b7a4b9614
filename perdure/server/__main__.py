"""``python -m perdure.server``: the supervisor, as `perdure.server.ensure` starts it."""

import sys

from perdure.server.supervisor import main

sys.exit(main())
