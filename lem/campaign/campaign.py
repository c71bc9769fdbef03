"""The class :class:`Campaign`: from a campaign file and a folder to results."""

from pathlib import Path
from typing import Self

from lem import boards, containers, plugins
from lem.agent.environment import device_set, gpus
from lem.analysis.objectives import needed_for
from lem.campaign import deep, devices, nodes, staging_pods
from lem.campaign.attempt import remove_asides
from lem.campaign.execute import OnMoment, execute, present, tidy
from lem.campaign.generations import (
    Generations,
    generations,
    left_to_choose,
    still_to_choose,
    to_stage,
)
from lem.campaign.guard import check_links
from lem.campaign.lock import (
    agree,
    check_overrides,
    make_lock,
    provisional_staging,
    taken_over,
)
from lem.campaign.orders import names_of
from lem.campaign.overview import Overview, refused
from lem.campaign.plan import Here, Plan, plan
from lem.campaign.stage import Staging, stage
from lem.clusters.kubernetes_job import check_cache
from lem.config import CampaignFile, check_available, check_files, keep_files, load, parse
from lem.config.clusters import KINDS, Cluster, SlurmSpec
from lem.config.kubernetes_spec import KubernetesSpec
from lem.config.yaml_source import read_text
from lem.contract.base import write_atomic
from lem.contract.lock import Lock, Overrides
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import pod
from lem.launchers.cache import cache_root
from lem.launchers.protocol import Say
from lem.stores.index import Index
from lem.stores.outcomes import Outcome

LOCK = "campaign.lock.json"
FILE = "campaign.yaml"


class Campaign:
    """One campaign file and the folder where its results are."""

    def __init__(
        self, file: CampaignFile, folder: Path, overrides: Overrides, owner: str | None = None
    ) -> None:
        """``owner``: ``Lock.owner`` of a folder that is not begun yet; None: a new random one."""
        self.file = file
        self.folder = folder
        self.overrides = overrides
        self.owner = owner

    @classmethod
    def load(
        cls,
        path: str | Path,
        out: str | Path | None = None,
        *,
        preset: str | None = None,
        blocks: int | None = None,
        launcher: str | None = None,
    ) -> Self:
        """Read a campaign file, or the campaign of a folder begun earlier.

        Results go to ``out``, by default ``results/<name>``. Raises
        :class:`lem.errors.BadInput` with every problem of the file.
        """
        path = Path(path)
        if path.is_dir():
            _check_begun(path)
            out = path if out is None else out
            path = path / FILE
        file = load(path)
        check_available(file)
        folder = Path("results") / file.spec.name if out is None else Path(out)
        if launcher is not None and launcher not in (*plugins.names("launchers"), *KINDS):
            known = ", ".join((*plugins.names("launchers"), *KINDS))
            raise BadInput(f"--launcher: there is no {launcher!r}; there are: {known}")
        swept = any(d.launcher is not None for d in file.drafts)
        if launcher is not None and launcher not in KINDS and swept:
            raise BadInput(
                f"--launcher {launcher}: this campaign compares launchers, each arm has its own",
                hint="leave --launcher out, or take `launcher` out of the file's sweep",
            )
        return cls(file, folder, Overrides(preset=preset, blocks=blocks, launcher=launcher))

    @property
    def lock(self) -> Lock | None:
        """The lock of the folder, or None before the first run."""
        path = self.folder / LOCK
        return Lock.read(path) if path.exists() else None

    @property
    def cluster(self) -> Cluster | None:
        """Where a scheduler places the blocks; None where they run here."""
        named = self.overrides.launcher
        if named is None and (lock := self.lock) is not None:
            named = lock.overrides.launcher
        if named is None:
            return self.file.spec.cluster
        if named not in KINDS:
            return None
        own = self.file.spec.cluster
        if own is not None and own.kind == named:
            return own
        if named != "slurm":
            raise BadInput(
                f"--launcher {named}: the campaign file does not say where its results are kept",
                hint="launcher: {kind: kubernetes, claim: NAME, mount: /PATH}",
            )
        return SlurmSpec(kind="slurm")

    def launchers(self, say: Say = lambda _: None) -> dict[int, str]:
        """Draft index → name of its launcher."""
        return self._launchers_of(self.file, say)

    def _launchers_of(self, file: CampaignFile, say: Say) -> dict[int, str]:
        """As :meth:`launchers`.

        A folder keeps the launcher it was begun with; ``auto`` is docker where it works here, and
        process where it does not.
        """
        lock, cluster = self.lock, self.cluster
        fixed = self.overrides.launcher or (lock and lock.overrides.launcher)
        if cluster is not None:
            fixed = None if cluster.container == "auto" else cluster.container
        if not fixed and self.file.spec.agent_launcher != "auto":
            fixed = self.file.spec.agent_launcher
        if not fixed and lock is not None:
            fixed = lock.arms[0].launcher
        if not fixed and any(d.launcher is None for d in file.drafts):
            fixed = automatic_launcher(say) if cluster is None else nodes.launcher()
        return {i: d.launcher or str(fixed) for i, d in enumerate(file.drafts)}

    def gpus(self) -> list[int]:
        """The GPUs that a block runs on: as many as the arm needs that needs most. On a cluster
        they are counted from 0, whichever a node will give."""
        if (cluster := self.cluster) is not None:
            return devices.asked_for(to_stage(self.file), cluster.gpus)
        return devices.device_set(to_stage(self.file), gpus(None))

    def stage(self, say: Say) -> Staging:
        """Prepare images, models and request lists; needs the network the first time."""
        check_links(self.folder)
        check_files(self.file)
        if isinstance(self.cluster, KubernetesSpec):
            check_cache(self.cluster, cache_root().absolute())
            pod.STAND_IN.set(staging_pods.stand_in(self.cluster))
        file = to_stage(self.file)
        launchers = self._launchers_of(file, say)
        return stage(file, launchers, bool(self.gpus()), self.folder, say)

    def plan(self, glance: bool = False) -> Overview:
        """What there is to do; changes nothing. ``glance``: runs that have long been over are not
        looked at again (:meth:`lem.stores.index.Index.refresh`)."""
        lock = self.lock
        known = lock is not None
        if lock is None:
            lock = self.lock_of(provisional_staging(self.file))
        else:
            self.check(lock)
        outcomes = self.outcomes(glance) if known else []
        here = self._here(lock)
        return self.overview(lock, not known, plan(lock, outcomes, here), outcomes)

    def overview(
        self, lock: Lock, provisional: bool, todo: Plan, outcomes: list[Outcome]
    ) -> Overview:
        return Overview(
            lock,
            provisional,
            todo,
            outcomes,
            refused=refused(self.folder, todo.dropped, outcomes),
            to_choose=(to_choose := self._to_choose(lock)),
            exhausted=to_choose < still_to_choose(lock),
            doubtful={
                arm.arm_id: why
                for arm in lock.arms
                if arm.arm_id not in todo.dropped and todo.runs and self.cluster is None
                if (why := boards.obstacle(arm.experiment.device, lock.gpus_of(arm)))
            },
        )

    def _here(self, lock: Lock) -> Here | None:
        return None if self.cluster is not None else present(lock.gpus)

    def _to_choose(self, lock: Lock) -> int:
        return left_to_choose(self.file, lock)

    def check(self, lock: Lock) -> None:
        """Refuse to go on with another file or other flags than the folder was begun with."""
        try:
            path = self.folder / FILE
            earlier = parse(read_text(path), str(path))
        except BadInput:
            earlier = None
        check_overrides(lock, self.file, self.overrides, str(self.folder), earlier)

    def outcomes(self, glance: bool = False) -> list[Outcome]:
        """Every attempt in the folder. ``glance``: as for :meth:`plan`."""
        if not (self.folder / "blocks").is_dir():
            return []
        with Index(self.folder) as index:
            index.refresh(over=glance)
            return index.outcomes()

    def power_w(self) -> dict[str, dict[str, float]]:
        """Arm → device class → mean power in W over the windows of its runs so far."""
        if not (self.folder / "blocks").is_dir():
            return {}
        with Index(self.folder) as index:
            index.refresh()
            rows = index.rows(["mean_power_w"])
        seen: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            for device_class, watts in row.metrics.get("mean_power_w", {}).items():
                seen.setdefault((row.outcome.arm_id, device_class), []).append(watts.value)
        found: dict[str, dict[str, float]] = {}
        for (arm, device_class), values in seen.items():
            found.setdefault(arm, {})[device_class] = sum(values) / len(values)
        return found

    def run(
        self,
        on_event: OnMoment | None = None,
        say: Say | None = None,
        retry_failed: bool = False,
        commentary_s: float = 1.0,
        refused_settings_end_it: bool = False,
    ) -> Overview:
        """Run what is missing. Running again resumes; a finished campaign is left alone.
        ``commentary_s``: how often ``on_event`` is told of power, tokens and answers, in seconds
        (0.1 for a live view). ``refused_settings_end_it``: as for ``execute``."""
        tell: Say = say or (lambda _: None)
        lock = self.lock
        if lock is not None and (jobs := names_of(self.folder, lock.owner)):
            raise BadInput(
                f"{self.folder}: its blocks were given to a scheduler (job {', '.join(jobs)}) and "
                "are not known to be over",
                hint=f"lem campaign run {self.folder} follows them; Ctrl-C, then c, cancels them",
            )
        remove_asides(self.folder)
        boards.put_back(tell)
        if lock is not None:
            self.check(lock)
            outcomes = self.outcomes()
            failed = any(o.kind == "failure" for o in outcomes)
            todo = plan(lock, outcomes, self._here(lock))
            if not todo.runs and not (retry_failed and failed) and not self._to_choose(lock):
                tidy(self.folder, lock)
                return self.overview(lock, False, todo, outcomes)
        lock, staging = self.locked(lock, tell)
        outcomes = execute(
            self.folder,
            lock,
            staging.prepared,
            retry_failed,
            on_event or _ignore,
            tell,
            lambda lock: self.grown(lock, staging, tell),
            commentary_s,
            refused_settings_end_it,
        )
        lock = self.lock or lock
        return self.overview(lock, False, plan(lock, outcomes, self._here(lock)), outcomes)

    def generations(self, staging: Staging) -> Generations | None:
        """What makes the later arms; None where all are there beforehand."""
        return generations(self.file, staging, self.launchers()[0], len(self.gpus()))

    def grown(self, lock: Lock, staging: Staging, say: Say) -> Lock:
        """The lock with the generation of arms that comes next, written; the same where there is
        none."""
        later = self.generations(staging)
        if later is None or lock.adaptive is None:
            return lock
        with Index(self.folder) as index:
            index.refresh()
            rows = index.rows(needed_for(lock.adaptive.objectives))
        arms = later.next_arms(lock, rows)
        if not arms:
            return lock
        for line in later.got_nothing(lock, rows):
            say(line)
        grown = lock.model_copy(update={"arms": [*lock.arms, *arms]})
        grown.write(self.folder / LOCK)
        return grown

    def take_over(self, handed: Lock, say: Say) -> None:
        """Begin the folder of a campaign that another machine has begun: stage, and write the lock.
        ``handed`` is the other's as it was submitted.

        Raises :class:`BadInput` where this machine would make other experiments of it.
        """
        self.locked(None, say, handed)

    def locked(
        self, lock: Lock | None, say: Say, handed: Lock | None = None
    ) -> tuple[Lock, Staging]:
        """Stage, then write the lock, or check that staging still gives the one there is."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise EnvironmentFault(
                f"{self.folder} cannot be made: {e.strerror}",
                hint="choose another folder with --out",
                kind="disk",
            ) from e
        staging = self.stage(say)
        fresh = self.lock_of(staging)
        if lock is not None:
            if (later := self.generations(staging)) is not None:
                arms = [*fresh.arms, *later.restored(lock)]
                fresh = fresh.model_copy(update={"arms": arms})
            named = self.file.spec.gpus != "auto"
            return agree(lock, fresh, str(self.folder), named), staging
        if (self.folder / "blocks").exists():
            raise BadInput(
                f"{self.folder} holds runs but no {LOCK}",
                hint="choose another folder with --out, or move this one away",
            )
        if handed is not None:
            if (later := self.generations(staging)) is not None:
                fresh = fresh.model_copy(update={"arms": [*fresh.arms, *later.restored(handed)]})
            fresh = taken_over(handed, fresh)
        deep.check(self, fresh, staging.prepared, self.generations(staging), say)
        if self.file.path.resolve() != (self.folder / FILE).resolve():
            write_atomic(self.folder / FILE, self.file.path.read_bytes())
            keep_files(self.file, self.folder)
        fresh.write(self.folder / LOCK)
        return fresh, staging

    def lock_of(self, staging: Staging) -> Lock:
        """The lock that this file and these flags would make today; writes nothing."""
        indices = self.gpus()
        return make_lock(
            self.file,
            staging,
            self.overrides,
            self.launchers(),
            indices,
            device_set(gpus(indices)) if self.cluster is None else ["cpu"] * (not indices),
            devices.counts(self.file, indices),
            self.owner,
        )


def _check_begun(folder: Path) -> None:
    """A folder with a campaign file need not be a campaign's: nothing may be written there."""
    if not (folder / LOCK).exists():
        raise BadInput(
            f"{folder} is not the folder of a campaign that was begun: it has no {LOCK}",
            hint=f"name the campaign file: {folder / FILE}"
            if (folder / FILE).exists()
            else "name a campaign file; `lem campaign init` writes one",
        )


def automatic_launcher(say: Say) -> str:
    """``docker`` where an engine answers, else ``process``, with a line that says so and why."""
    try:
        with containers.connect():
            return "docker"
    except EnvironmentFault as e:
        say(f"no Docker here ({e.message}): the agent runs as a process, without a container")
        return "process"


def _ignore(_: object) -> None:
    return None
