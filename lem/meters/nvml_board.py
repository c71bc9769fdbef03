"""One NVIDIA board's calls into NVML, bound once so that a round costs little.

nvidia-ml-py's wrappers make new C objects and look the function up under a lock at every call. Here
function, arguments and result are made once; the package itself is used as it is. What is read is
described in NVIDIA's nvml.h: fields 185 (power averaged over 1 s; Ampere except GA100, and newer)
and 186 (present power), each for the scope GPU or module (CPU + GPU, NVIDIA's own CPUs only).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

SCOPE_GPU = 0
SCOPE_MODULE = 1

_POWER_FIELDS = (
    ("power_average_mw", "NVML_FI_DEV_POWER_AVERAGE", 185),
    ("power_instant_mw", "NVML_FI_DEV_POWER_INSTANT", 186),
)

_MEMBER = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Members of ``nvmlValue_t`` by ``nvmlValueType_t``: the type of a field varies with the driver."""


class CallFailed(Exception):
    """NVML's return code, where a bound call did not succeed."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Bound:
    """``function(handle, &result)``, called without anything being made anew.

    Raises :class:`CallFailed`.
    """

    def __init__(
        self,
        nvml: Any,
        handle: Any,
        name: str,
        result: Any,
        arguments: tuple[int, ...] = (),
        more: tuple[Any, ...] = (),
    ) -> None:
        """``more``: results after the first, which nobody looks at. Raises NVMLError where the
        driver has no such function."""
        self._result = result
        before = (ctypes.c_uint(a) for a in arguments)
        self._arguments = (handle, *before, *(ctypes.byref(r) for r in (result, *more)))
        self._function = _function(nvml, name)

    def __call__(self) -> int:
        code = self._function(*self._arguments)
        if code:
            raise CallFailed(code)
        return int(self._result.value)


class PowerFields:
    """Those of fields 185 and 186 that a board has for one scope, read in one call."""

    def __init__(self, nvml: Any, handle: Any, scope: int) -> None:
        """``quantities`` is empty where the board, the driver or the package has none of them."""
        self.quantities: tuple[str, ...] = ()
        self._entries: list[tuple[Any, Any, int, str]] = []
        self._not_there = int(nvml.NVML_ERROR_NOT_SUPPORTED)
        self._unknown = int(nvml.NVML_ERROR_UNKNOWN)
        entry = getattr(nvml, "c_nvmlFieldValue_t", None)
        if entry is None or (scope and not hasattr(entry, "scopeId")):
            return
        try:
            function = _function(nvml, "nvmlDeviceGetFieldValues")
        except nvml.NVMLError:
            return
        found = []
        for quantity, constant, number in _POWER_FIELDS:
            values = (entry * 1)()
            self._prepare(values[0], getattr(nvml, constant, number), scope)
            failed = function(handle, ctypes.c_int(1), ctypes.byref(values))
            if not failed and values[0].nvmlReturn == 0 and _value(values[0]) is not None:
                found.append((quantity, int(values[0].fieldId), int(values[0].valueType)))
        self._values = (entry * max(1, len(found)))()
        for one, (_, number, kind) in zip(self._values, found, strict=False):
            self._prepare(one, number, scope)
            self._entries.append((one, one.value, kind, _MEMBER[kind]))
        self._call: Callable[[], int] = _prepared(
            function, handle, ctypes.c_int(len(found)), ctypes.byref(self._values)
        )
        self.quantities = tuple(quantity for quantity, *_ in found)

    def _prepare(self, entry: Any, number: int, scope: int) -> None:
        entry.fieldId = number
        if scope:
            entry.scopeId = scope
        # A driver that does not know a field may leave its entry as it is: then it has failed.
        entry.nvmlReturn = self._not_there

    def read(self) -> list[float | None]:
        """Power in mW for each of ``quantities``; None where this one could not be read now.

        Raises :class:`CallFailed` where none could.
        """
        if not self._entries:
            raise CallFailed(self._not_there)
        for entry, *_ in self._entries:
            entry.nvmlReturn = self._not_there
        if code := self._call():
            raise CallFailed(code)
        values: list[float | None] = [
            getattr(value, member) if entry.nvmlReturn == 0 and entry.valueType == kind else None
            for entry, value, kind, member in self._entries
        ]
        if values.count(None) == len(values):
            raise CallFailed(self._entries[0][0].nvmlReturn or self._unknown)
        return values


def _value(entry: Any) -> float | None:
    """A field's value by the type that the driver says it has; None for an unknown type."""
    kind = entry.valueType
    return getattr(entry.value, _MEMBER[kind]) if 0 <= kind < len(_MEMBER) else None


def _prepared(function: Any, *arguments: Any) -> Callable[[], int]:
    return lambda: int(function(*arguments))


def _function(nvml: Any, name: str) -> Any:
    """The library's own function. Raises NVMLError where the driver has none of that name."""
    return nvml._nvmlGetFunctionPointer(name)


def energy(nvml: Any, handle: Any) -> Bound:
    """The counter of the whole board's energy, mJ. Raises NVMLError."""
    name = "nvmlDeviceGetTotalEnergyConsumption"
    return Bound(nvml, handle, name, ctypes.c_ulonglong())


def power(nvml: Any, handle: Any) -> Bound:
    """Power in mW: a 1 s average on Ampere (except GA100) and newer, else the present power."""
    return Bound(nvml, handle, "nvmlDeviceGetPowerUsage", ctypes.c_uint())


def contains(module: PowerFields, gpu: PowerFields) -> bool:
    """Whether the module's power is more than the GPU's, as it must be.

    A driver that ignores the scope gives the GPU's power twice, which is no module.
    """
    try:
        outer = dict(zip(module.quantities, module.read(), strict=True))
        inner = dict(zip(gpu.quantities, gpu.read(), strict=True))
    except CallFailed:
        return False
    both = [(o, i) for q, o in outer.items() if o is not None and (i := inner.get(q)) is not None]
    return bool(both) and all(o > i for o, i in both)


def mig_devices(nvml: Any, handle: Any) -> list[str] | None:
    """Names of the partitions (MIG devices) of a board; None where it is not partitioned."""
    try:
        if not nvml.nvmlDeviceGetMigMode(handle)[0]:
            return None
    except nvml.NVMLError:
        return None
    names = []
    try:
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:
        return []
    for index in range(most):
        try:
            one = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            name = nvml.nvmlDeviceGetName(one)
        except nvml.NVMLError:
            continue  # not every place is taken
        names.append(name.decode() if isinstance(name, bytes) else str(name))
    return names
