from tests.repo.pins import write

write()
