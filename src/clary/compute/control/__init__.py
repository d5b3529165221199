"""Decisions (pure functions) and the loops around them.

A loop is a class with `__init__(platform)`, `woken: asyncio.Event` and `async run()`; it is level-triggered: on every
round it compares what the store wants with what is observed and acts on the difference. The server imports each loop
when it starts listening (to reconcile what an earlier server left) and sets `woken` on `platform.wake(topic)`.
"""

LOOPS = {
    "training": "clary.compute.control.job_loop:TrainingLoop",
    "processing": "clary.compute.control.job_loop:ProcessingLoop",
    "tuning": "clary.compute.control.tuning:TuningLoop",
    "endpoints": "clary.compute.control.endpoints:EndpointLoop",
    "transform": "clary.compute.control.transform:TransformLoop",
    "retention": "clary.compute.control.record_retention:RecordRetentionLoop",
}
