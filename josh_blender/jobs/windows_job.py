"""Windows job objects: a process and all its children, ended together, also when their owner dies."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

if sys.platform == "win32":
    import msvcrt
    from ctypes import wintypes

    #: A process group of its own, so that a polite Ctrl-Break reaches the child and not Blender; no console window.
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW

    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMIT_INFORMATION = 9

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _IoCounters(ctypes.Structure):
        _fields_ = tuple(
            (name, ctypes.c_ulonglong)
            for name in ("ReadOps", "WriteOps", "OtherOps", "ReadBytes", "WriteBytes", "OtherBytes")
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", _IoCounters),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
    _kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
    _kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    _kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    _dwords = ctypes.POINTER(wintypes.DWORD)
    _kernel.PeekNamedPipe.argtypes = (wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD, _dwords, _dwords, _dwords)

    def adopt(process: subprocess.Popen[bytes]) -> int:
        """Put a process into a job object, which ends with this Python at the latest; returns the job's handle.

        Raises:
            OSError: Windows refused.
        """
        job = _kernel.CreateJobObjectW(None, None)
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limits)
        child = wintypes.HANDLE(int(process._handle))  # type: ignore[attr-defined]
        if not (
            job
            and _kernel.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size)
            and _kernel.AssignProcessToJobObject(job, child)
        ):
            process.kill()
            raise ctypes.WinError(ctypes.get_last_error())
        return int(job)

    def terminate(job: int) -> None:
        """End every process of the job object."""
        _kernel.TerminateJobObject(job, 1)

    def close(job: int) -> None:
        """Give the job object back; whatever still runs in it ends."""
        _kernel.CloseHandle(job)

    def read_available(file: int, most: int) -> bytes | None:
        """What a pipe holds now; empty at its end, None where there is nothing yet."""
        available = wintypes.DWORD()
        handle = msvcrt.get_osfhandle(file)
        if not _kernel.PeekNamedPipe(handle, None, 0, None, ctypes.byref(available), None):
            return b""
        return os.read(file, min(available.value, most)) if available.value else None
