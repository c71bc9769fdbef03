/* A libnvidia-ml.so.1 that plays a power trace whose energy is known in closed form.
 *
 * It drives the unmodified nvidia-ml-py, and the tools that use it. What is played: played_trace.c.
 */
#include "played_trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; }
    Process;
typedef struct { unsigned id, scope; long long t_us, latency_us; int type, result; union {
    double d; unsigned u; unsigned long long ull; } value; } Field;

static int running;

/* A partition (MIG device) of board b is the handle 100 * (b + 1) + 1 + its index. */
static int device_of(void *handle) {
    int number = (int)(size_t)handle;
    return number > 100 ? number / 100 - 1 : number - 1;
}
static int is_partition(void *handle) { return (size_t)handle > 100; }
static Board *board_of(void *handle) { return &play.board[device_of(handle)]; }

static void uuid_of(int device, char *uuid, size_t length) {
    snprintf(uuid, length, "GPU-%08d-0000-0000-0000-%012d", (int)play.serial, device);
}

static int check(void *handle) {
    wait_as_long_as_a_call();
    if (!running) return UNINITIALIZED;
    if (device_of(handle) < 0 || device_of(handle) >= play.devices) return INVALID_ARGUMENT;
    refresh();
    return state(board_of(handle), now_s());
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    load();
    /* A process that loaded this for one test has no GPUs in the next. */
    if (!played) return DRIVER_NOT_LOADED;
    if (play.init_error > 0) return (int)play.init_error;
    running++;
    return SUCCESS;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { if (running) running--; return SUCCESS; }
const char *nvmlErrorString(int result) { (void)result; return "an error that was asked for"; }

int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)play.devices; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if ((int)index >= (int)play.devices) return INVALID_ARGUMENT;
    *handle = (void *)(size_t)(index + 1);
    return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    char own[64];
    for (int i = 0; i < (int)play.devices; i++) {
        uuid_of(i, own, sizeof own);
        if (strcmp(own, uuid)) continue;
        *handle = (void *)(size_t)(i + 1);
        return SUCCESS;
    }
    return 6; /* NOT_FOUND */
}
int nvmlDeviceGetIndex(void *handle, unsigned *index) {
    *index = (unsigned)device_of(handle);
    return check(handle);
}
int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    snprintf(name, length, is_partition(handle) ? "Played GPU MIG 1g.10gb" : "Played GPU");
    return check(handle);
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    uuid_of(device_of(handle), uuid, length);
    return check(handle);
}
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "0.0-played");
    return SUCCESS;
}
int nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    snprintf(version, length, "0.0-played");
    return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return SUCCESS; }
int nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) {
    *architecture = (unsigned)play.architecture;
    return check(handle);
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    *major = (int)play.architecture;
    *minor = 0;
    return check(handle);
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
    int result = check(handle);
    double t = now_s();
    if (result) return result;
    if (is_partition(handle)) return NOT_SUPPORTED;
    if ((result = counter_state(board_of(handle), t))) return result;
    *mj = (unsigned long long)counter_mj(board_of(handle), device_of(handle), t);
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) {
    int result = check(handle);
    Board *b = board_of(handle);
    if (result) return result;
    if (b->no_power > 0 || is_partition(handle)) return NOT_SUPPORTED;
    *mw = (unsigned)(1e3 * power_w(b, device_of(handle), now_s(), b->power_average_ms,
                                   b->power_update_ms));
    return SUCCESS;
}

/* `fields` says which there are: 1 power averaged over 1 s (185), 2 present power (186), 4 the
 * energy counter (83), 8 both kinds of power for the module (CPU and GPU) too. */
static int field(void *handle, Field *f) {
    Board *b = board_of(handle);
    double t = now_s(), mw;
    unsigned scope = play.ignores_scope > 0 ? 0 : f->scope;
    int which = (int)play.fields, device = device_of(handle);
    f->t_us = (long long)(t * 1e6);
    f->latency_us = 0;
    if (f->id == 83 && which & 4 && !is_partition(handle)) {
        f->type = 3;
        f->value.ull = (unsigned long long)counter_mj(b, device, t);
        return counter_state(b, t);
    }
    if (!((f->id == 185 && which & 1) || (f->id == 186 && which & 2))) return NOT_SUPPORTED;
    if (scope > 1 || (scope == 1 && !(which & 8)) || is_partition(handle)) return NOT_SUPPORTED;
    mw = 1e3 * power_w(b, device, t, f->id == 185 ? 1000 : b->instant_window_ms, b->instant_update_ms);
    mw += scope == 1 ? 1e3 * b->module_w : 0;
    f->type = (int)play.field_type;
    f->value.ull = 0;
    if (f->type == 0) f->value.d = mw;
    else if (f->type == 1) f->value.u = (unsigned)mw;
    else f->value.ull = (unsigned long long)mw;
    return SUCCESS;
}
int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    int result = check(handle);
    if (result) return result;
    for (int i = 0; i < count; i++) fields[i].result = field(handle, &fields[i]);
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *c) {
    (void)sensor;
    *c = 55;
    return check(handle);
}
/* What was set of the boards stands in a file beside the played one, so that every process sees it:
 * a line "LIMIT_MW CLOCK_MHZ" a board, 0 for what is as the play says. Lost with the file, as real
 * settings are with a restart. */
typedef struct { unsigned limit_mw, clock_mhz; } Set;

static void set_file(char *path, size_t room, const char *suffix) {
    const char *played = played_path();
    snprintf(path, room, "%s.set%s", played ? played : "played", suffix);
}
static void read_set(Set *of) {
    char path[4096];
    FILE *f;
    memset(of, 0, BOARDS * sizeof *of);
    set_file(path, sizeof path, "");
    if (!(f = fopen(path, "r"))) return;
    for (int i = 0; i < BOARDS; i++)
        if (fscanf(f, "%u %u", &of[i].limit_mw, &of[i].clock_mhz) != 2) break;
    fclose(f);
}
static void write_set(const Set *of) {
    char path[4096], aside[4096];
    FILE *f;
    set_file(path, sizeof path, "");
    set_file(aside, sizeof aside, ".new");
    if (!(f = fopen(aside, "w"))) abort();
    for (int i = 0; i < BOARDS; i++) fprintf(f, "%u %u\n", of[i].limit_mw, of[i].clock_mhz);
    fclose(f);
    rename(aside, path);
}
static Set set_of(void *handle) {
    Set of[BOARDS];
    read_set(of);
    return of[device_of(handle)];
}
static unsigned most_mw(const Board *b) {
    return (unsigned)(1e3 * (b->most_limit_w > 0 ? b->most_limit_w : b->limit_w));
}

int nvmlDeviceGetClockInfo(void *handle, unsigned type, unsigned *mhz) {
    unsigned locked = set_of(handle).clock_mhz;
    Board *b = board_of(handle);
    *mhz = type == 2 ? 2600 : locked ? locked : 1980;
    if (type != 2 && b->clock_held_mhz > 0 && *mhz > b->clock_held_mhz)
        *mhz = (unsigned)b->clock_held_mhz;
    return check(handle);
}
int nvmlDeviceGetMaxClockInfo(void *handle, unsigned type, unsigned *mhz) {
    *mhz = type == 2 ? 2600 : 1980;
    return check(handle);
}
int nvmlDeviceGetApplicationsClock(void *handle, unsigned type, unsigned *mhz) {
    (void)type;
    *mhz = now_s() >= board_of(handle)->clock_change_s ? 1200 : 1980;
    return check(handle);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *reasons) {
    Board *b = board_of(handle);
    double t = now_s();
    *reasons = t >= b->throttle_s && t < b->throttle_end_s ? (unsigned long long)b->throttle_bits
                                                          : 0;
    return check(handle);
}
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *reasons) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(handle, reasons);
}
int nvmlDeviceGetPowerManagementLimit(void *handle, unsigned *mw) {
    Board *b = board_of(handle);
    unsigned set_mw = set_of(handle).limit_mw;
    if (b->no_limit > 0) return NOT_SUPPORTED;
    *mw = set_mw ? set_mw : (unsigned)(1e3 * (now_s() >= b->limit_change_s ? b->second_limit_w
                                                                          : b->limit_w));
    return check(handle);
}
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *mw) {
    Board *b = board_of(handle);
    int result = nvmlDeviceGetPowerManagementLimit(handle, mw);
    if (!result && b->held_w > 0 && *mw > 1e3 * b->held_w) *mw = (unsigned)(1e3 * b->held_w);
    return result;
}
int nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *mw) {
    *mw = most_mw(board_of(handle));
    return check(handle);
}
int nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned *least, unsigned *most) {
    if (board_of(handle)->no_limit > 0) return NOT_SUPPORTED;
    *least = 100000;
    *most = most_mw(board_of(handle));
    return check(handle);
}

/* set_error: what these calls give; ignores_set: they succeed and change nothing. */
static int change(void *handle, int limits, unsigned limit_mw, unsigned clock_mhz) {
    Board *b = board_of(handle);
    Set of[BOARDS];
    int result = check(handle), device = device_of(handle);
    if (result) return result;
    if (b->set_error > 0) return (int)b->set_error;
    if (b->ignores_set > 0) return SUCCESS;
    read_set(of);
    if (limits) of[device].limit_mw = limit_mw;
    else of[device].clock_mhz = clock_mhz;
    write_set(of);
    return SUCCESS;
}
int nvmlDeviceSetPowerManagementLimit(void *handle, unsigned mw) {
    if (board_of(handle)->no_limit > 0) return NOT_SUPPORTED;
    if (mw < 100000 || mw > most_mw(board_of(handle))) return INVALID_ARGUMENT;
    return change(handle, 1, mw, 0);
}
int nvmlDeviceSetGpuLockedClocks(void *handle, unsigned least, unsigned most) {
    if (board_of(handle)->no_lock > 0) return NOT_SUPPORTED;
    return least > most ? INVALID_ARGUMENT : change(handle, 0, 0, most);
}
int nvmlDeviceResetGpuLockedClocks(void *handle) {
    return board_of(handle)->no_lock > 0 ? NOT_SUPPORTED : change(handle, 0, 0, 0);
}

static int list(unsigned *count, unsigned *mhz, unsigned first, unsigned step, unsigned n) {
    unsigned room = *count;
    *count = n;
    if (room < n || !mhz) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < n; i++) mhz[i] = first - i * step;
    return SUCCESS;
}
int nvmlDeviceGetSupportedMemoryClocks(void *handle, unsigned *count, unsigned *mhz) {
    if (board_of(handle)->no_clock_list > 0) return NOT_SUPPORTED;
    return list(count, mhz, 2600, 1007, 2);
}
int nvmlDeviceGetSupportedGraphicsClocks(void *handle, unsigned memory, unsigned *count,
                                         unsigned *mhz) {
    if (board_of(handle)->no_clock_list > 0) return NOT_SUPPORTED;
    if (memory == 2600) return list(count, mhz, 1980, 15, 119); /* down to 210 */
    return memory == 1593 ? list(count, mhz, 1980, 15, 80) : INVALID_ARGUMENT;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *gpu_and_memory) {
    Board *b = board_of(handle);
    double w = power_w(b, device_of(handle), now_s(), 100, 0);
    gpu_and_memory[0] = gpu_and_memory[1] = w > 0.3 * b->limit_w ? 95 : 0;
    return check(handle);
}
int nvmlDeviceGetComputeMode(void *handle, unsigned *mode) { *mode = 0; return check(handle); }
int nvmlDeviceGetPersistenceMode(void *handle, unsigned *mode) { *mode = 1; return check(handle); }

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    *current = *pending = (unsigned)play.mig;
    return check(handle);
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    *count = play.mig > 0 ? 7 : 0;
    return check(handle);
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **partition) {
    if (index >= play.mig_devices) return 6; /* NOT_FOUND */
    *partition = (void *)(size_t)(100 * (device_of(handle) + 1) + 1 + (int)index);
    return check(handle);
}
int nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *is) {
    *is = (unsigned)is_partition(handle);
    return SUCCESS;
}

static void memory(unsigned long long *total_free_used) {
    total_free_used[0] = 80ULL << 30;
    total_free_used[1] = 79ULL << 30;
    total_free_used[2] = 1ULL << 30;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *total_free_used) {
    memory(total_free_used);
    return check(handle);
}
int nvmlDeviceGetMemoryInfo_v2(void *handle, unsigned long long *info) {
    /* version (and padding), total, reserved, free, used */
    info[1] = 80ULL << 30;
    info[2] = 0;
    info[3] = 79ULL << 30;
    info[4] = 1ULL << 30;
    return check(handle);
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *list) {
    int result = check(handle);
    unsigned room = *count;
    if (result) return result;
    *count = (unsigned)play.pids;
    if (room < (unsigned)play.pids || (play.pids && !list)) return INSUFFICIENT_SIZE;
    for (int i = 0; i < play.pids; i++) list[i] = (Process){play.pid[i], 1ULL << 30, ~0u, ~0u};
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, Process *list) {
    int result = check(handle);
    unsigned room = *count;
    if (result) return result;
    *count = play.graphics_pid > 0;
    if (room < *count || (*count && !list)) return INSUFFICIENT_SIZE;
    if (*count) list[0] = (Process){(unsigned)play.graphics_pid, 1ULL << 20, ~0u, ~0u};
    return SUCCESS;
}

/* What a tool may ask for and no figure here depends on. A board may truly lack all of these. */
#define UNSUPPORTED(name) int name(void) { return NOT_SUPPORTED; }
UNSUPPORTED(nvmlDeviceGetC2cModeInfoV)
UNSUPPORTED(nvmlDeviceGetTemperatureV)
UNSUPPORTED(nvmlDeviceGetPciInfo_v3)
UNSUPPORTED(nvmlDeviceGetViolationStatus)
UNSUPPORTED(nvmlDeviceGetProcessesUtilizationInfo)
UNSUPPORTED(nvmlDeviceGetProcessUtilization)
UNSUPPORTED(nvmlDeviceGetJpgUtilization)
UNSUPPORTED(nvmlDeviceGetOfaUtilization)
UNSUPPORTED(nvmlDeviceGetEncoderUtilization)
UNSUPPORTED(nvmlDeviceGetDecoderUtilization)
UNSUPPORTED(nvmlDeviceGetSamples)
UNSUPPORTED(nvmlDeviceGetPerformanceState)
UNSUPPORTED(nvmlDeviceGetFanSpeed)
UNSUPPORTED(nvmlDeviceGetPcieThroughput)
UNSUPPORTED(nvmlDeviceGetBrand)
UNSUPPORTED(nvmlDeviceGetMultiGpuBoard)
UNSUPPORTED(nvmlDeviceGetDisplayActive)
UNSUPPORTED(nvmlDeviceGetEccMode)
UNSUPPORTED(nvmlDeviceGetPowerMizerMode_v1)
UNSUPPORTED(nvmlGpmQueryDeviceSupport)
UNSUPPORTED(nvmlGpmSampleAlloc)
UNSUPPORTED(nvmlGpmSampleGet)
UNSUPPORTED(nvmlGpmMetricsGet)
UNSUPPORTED(nvmlDeviceGetTotalEccErrors)
UNSUPPORTED(nvmlDeviceGetCurrPcieLinkGeneration)
UNSUPPORTED(nvmlDeviceGetMinorNumber)
UNSUPPORTED(nvmlDeviceGetSerial)
UNSUPPORTED(nvmlDeviceGetTopologyCommonAncestor)
