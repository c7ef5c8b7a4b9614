"""Hostile payloads, read as production reads them: each is read, or refused with an error of Perdure.

Every input is a mutation of a real payload: one of the recorded histories, or one that the code of today
writes. It goes through the functions that read its kind in a worker or a client, in this process and without
a server. What must not happen is another exception, which Temporal would repeat forever as the failure of a
workflow task, or a value of another type than those of the language.
"""
