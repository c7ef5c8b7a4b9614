from perdure.history.cache import ModelCache
from perdure.history.model import Execution, RunModel


def model(number: int, last_event: int = 10) -> RunModel:
    chain = (Execution(f"execution-{number}", 0, last_event),)
    return RunModel(id=f"r{number}", name="graph", state="running", graph={"nodes": {}}, chain=chain)


def test_a_model_is_kept_until_its_run_has_new_events() -> None:
    cache = ModelCache()
    cache.add(model(1))
    assert cache.get("execution-1", 10) == model(1)
    assert cache.get("execution-1", 11) is None
    cache.add(model(1, 11))
    assert cache.get("execution-1", 11) == model(1, 11)


def test_few_models_are_kept() -> None:
    cache = ModelCache()
    for number in range(1, 9):
        cache.add(model(number))
    cache.add(model(1))
    cache.add(model(9))
    kept = [number for number in range(1, 10) if cache.get(f"execution-{number}", 10) is not None]
    assert kept == [1, 3, 4, 5, 6, 7, 8, 9]
