"""The tuning loop: starts the trials of every accepted tuning job, and goes on where an earlier server left off.

A trial is a training job whose name follows from its number, so whatever was done before a crash is found again, and doing it
again changes nothing. Nothing else about trials is kept: what was tried stands in their rows, what they reported in their
directories.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from clary.compute.control import jobs, tail, training_job
from clary.compute.control.capacity import Capacity
from clary.compute.control.suggestions import Suggestions
from clary.compute.control.tuning_decision import Action, End, Finish, Launch, Progress, Seen, StopTrial, decide
from clary.compute.control.tuning_job import KIND, Plan, public_state
from clary.compute.runner import job_directory
from clary.core.errors import ServiceError
from clary.core.service import Platform
from clary.storage import tuning_trials
from clary.storage.resources import Resource, Transaction

logger = logging.getLogger(__name__)

ACTIVE = ("InProgress", "Stopping")
TICK_SECONDS = 0.25
"""How often the reports of running trials are read where they may be stopped early, and the clock where there is a deadline."""
_END = "_end"
_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.5, 10.0
_LONGEST_REASON = 1024


class TuningLoop:
    """Follows each unfinished tuning job with a task of its own; sleeps when there is none."""

    def __init__(self, platform: Platform):
        self.platform = platform
        self.woken = asyncio.Event()
        self._suggestions = Suggestions()
        self._followers: dict[str, Follower] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled: a follower for every tuning job that is not finished, told whenever something changed."""
        try:
            while True:
                for job in self.platform.resources.every(KIND, status=ACTIVE):
                    self._follow(job)
                if not self._followers:
                    await self._suggestions.close()
                await self.woken.wait()
                self.woken.clear()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._suggestions.close()

    def _follow(self, job: Resource) -> None:
        if follower := self._followers.get(job.arn):
            follower.woken.set()
            return
        follower = self._followers[job.arn] = Follower(self.platform, self._suggestions, job)
        task = self._begin(follower.run(), f"tuning job {job.name}")
        task.add_done_callback(lambda done: self._ended(job.arn, done))

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended(self, arn: str, task: asyncio.Task[None]) -> None:
        """Look again: the name may be taken by a new job, or the follower failed and needs another, a little later."""
        del self._followers[arn]
        if task.cancelled():
            return
        if error := task.exception():
            logger.error("the follower of %s ended", arn, exc_info=error)
        asyncio.get_running_loop().call_later(_LONGEST_DELAY_SECONDS if error else 0, self.woken.set)


class Follower:
    """Brings one tuning job to its end: look at its trials, decide, act, wait for a change, again."""

    def __init__(self, platform: Platform, suggestions: Suggestions, job: Resource):
        self.platform = platform
        self.job = job
        self.woken = asyncio.Event()
        self._suggestions = suggestions
        self._plan = Plan.of(job, Capacity.of(platform).slots)
        self._progress = Progress.of(job.state.get("TuningJobCompletionDetails", {}))
        self._trials = Trials(platform, self._plan)
        self._exhausted = False

    async def run(self) -> None:
        """Returns when the job's end is committed, or the job is gone. A round that fails (a full disk) is tried again."""
        failures = 0
        while self._refresh():
            try:
                await self._round()
                failures = 0
            except Exception:
                failures += 1
                logger.exception("tuning job %s: round failed (%d in a row)", self.job.name, failures)
                await asyncio.sleep(min(failures * _DELAY_SECONDS, _LONGEST_DELAY_SECONDS))

    def _refresh(self) -> bool:
        """Read the row again; False when there is nothing left to do."""
        job = self.platform.resources.get(KIND, self.job.scope, self.job.name)
        if job is None or job.arn != self.job.arn or job.status not in ACTIVE:
            return False
        self.job = job
        return True

    @property
    def _end(self) -> End | None:
        """What was decided or asked for: a stop request counts unless the job was about to fail."""
        decided = self.job.state.get(_END)
        end = End(**decided) if decided else None
        if self.job.status == "Stopping" and (end is None or end.status != "Failed"):
            return End("Stopped")
        return end

    async def _round(self) -> None:
        self.woken.clear()  # whatever happens from here on is seen in the next round
        launched = self.job.state.get(tuning_trials.LAUNCHED, 0)
        seen = self._trials.look(self.job, launched)
        now = self.platform.clock.now()
        actions = decide(
            seen, launched, self._plan.limits, now, end=self._end, exhausted=self._exhausted, stops=self._plan.stop_rule
        )
        if not any(isinstance(action, Finish) for action in actions):
            await self._tell(seen, now)
        for action in actions:
            await self._act(action, seen)
        if all(isinstance(action, StopTrial) for action in actions):
            await self._changed()

    async def _act(self, action: Action, seen: list[Seen]) -> None:
        match action:
            case Launch(index):
                await self._launch(index, seen)
            case StopTrial(index):
                await self._stop(index)
            case End():
                await self._write({_END: action.document()})
            case Finish(end):
                await self._finish(end, seen)

    async def _launch(self, index: int, seen: list[Seen]) -> None:
        """Choose what trial `index` tries and start it, unless a server that was killed had started it already."""
        if tuning_trials.trial(self.platform.resources, self.job, index) is None:
            question = self._plan.question(index, seen)
            values = None if question is None else await self._suggestions.ask(question)
            if values is None:
                self._exhausted = True
                return
            if not await self._create(index, values):
                return
        await self._write({tuning_trials.LAUNCHED: index + 1})

    async def _create(self, index: int, values: dict[str, float | int | str]) -> bool:
        """Whether the training job is there; when it is refused for what the user must mend, the tuning job ends."""
        place = self._plan.place(index)
        assert place is not None
        request = self._plan.training_job(place[0], values) | {
            "TrainingJobName": tuning_trials.trial_name(self.job, index),
            "TuningJobArn": self.job.arn,
            "Tags": [{"Key": key, "Value": value} for key, value in self.platform.resources.tags(self.job.arn).items()],
        }
        try:
            await self.platform.call("sagemaker", "CreateTrainingJob", request, scope=self.job.scope)
        except ServiceError as error:
            if error.status >= 500:
                raise
            reason = f"ClientError: training job {index + 1} could not be created: {error.message}"
            await self._write({_END: End("Failed", reason[:_LONGEST_REASON]).document()})
            return False
        return True

    async def _stop(self, index: int) -> None:
        request = {"TrainingJobName": tuning_trials.trial_name(self.job, index)}
        try:
            await self.platform.call("sagemaker", "StopTrainingJob", request, scope=self.job.scope)
        except ServiceError as error:
            if error.status >= 500:
                raise
            self.woken.set()  # it has ended meanwhile: look again

    async def _finish(self, end: End, seen: list[Seen]) -> None:
        """Commit the end, with what all trials have come to."""
        now = self.platform.clock.now()
        state = self._public(seen, now) | {"HyperParameterTuningEndTime": now}
        await self._write(state | ({"FailureReason": end.reason} if end.reason else {}), status=end.status)

    async def _tell(self, seen: list[Seen], now: float) -> None:
        """Let Describe show what the trials have come to, where that changed."""
        public = self._public(seen, now)
        if any(self.job.state.get(member) != value for member, value in public.items()):
            await self._write(public)

    def _public(self, seen: list[Seen], now: float) -> dict[str, Any]:
        details = self._progress.after(seen, self._plan.limits, now)
        return public_state(self.job, self._trials.rows, self._trials.summaries, details)

    async def _write(self, changes: dict[str, Any], status: str | None = None) -> None:
        """Change the row, in one transaction, unless the job is gone."""

        def work(tx: Transaction) -> None:
            job = tx.get(KIND, self.job.scope, self.job.name)
            if job is not None and job.arn == self.job.arn and job.status in ACTIVE:
                tx.update(job, modified=self.platform.clock.now(), state=job.state | changes, status=status)

        await self.platform.resources.write(work)
        self._refresh()

    async def _changed(self) -> None:
        """Wait until a trial ends or the row changes, or until it is time to look at reports or the clock."""
        ticks = self._plan.stops_early or self._plan.limits.deadline is not None
        try:
            await asyncio.wait_for(self.woken.wait(), TICK_SECONDS if ticks else None)
        except TimeoutError:
            return


class Trials:
    """The trials of one tuning job. Those that have ended are looked at once."""

    def __init__(self, platform: Platform, plan: Plan):
        self._platform = platform
        self._plan = plan
        self._rows: dict[int, Resource] = {}
        self._summaries: dict[int, dict[str, Any]] = {}
        self._seen: dict[int, Seen] = {}
        self._curves: dict[int, Curve] = {}

    @property
    def rows(self) -> list[Resource]:
        """The training jobs, in order, as they were at the last look."""
        return [self._rows[index] for index in sorted(self._rows)]

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """HyperParameterTrainingJobSummary of each of them."""
        return [self._summaries[index] for index in sorted(self._summaries)]

    def look(self, job: Resource, launched: int) -> list[Seen]:
        """The trials that were started, in order."""
        for index in range(launched):
            if index not in self._seen or self._seen[index].runs:
                self._look_at(job, index)
        return [self._seen[index] for index in sorted(self._seen)]

    def _look_at(self, job: Resource, index: int) -> None:
        row = tuning_trials.trial(self._platform.resources, job, index)
        if row is None:
            return
        self._rows[index] = row
        self._summaries[index] = tuning_trials.summary(row)
        self._seen[index] = self._plan.seen(index, row, self._curve(index, row))

    def _curve(self, index: int, row: Resource) -> list[float]:
        if not self._plan.stops_early:
            return []
        return self._curves.setdefault(index, Curve()).read(self._platform, row)


class Curve:
    """What a trial has reported of its objective metric, oldest first, read as far as it is written."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._offset = 0
        self._attempt = 0

    def read(self, platform: Platform, row: Resource) -> list[float]:
        if self._attempt != jobs.attempt_of(row):  # it began anew after a lost host
            self._attempt, self._offset, self._values = jobs.attempt_of(row), 0, []
        path = jobs.directory(platform.config, row, training_job.KIND, training_job.hosts_of(row)[0]) / job_directory.METRICS
        metric = row.document["TuningObjective"]["MetricName"]
        while entries := tail.read(path, self._offset):
            self._offset = entries[-1][0]
            self._values += [entry["v"] for _, entry in entries if entry["n"] == metric]
        return self._values
