/* A libnvidia-ml.so.1 that plays a power trace whose energy is known in closed form.
 *
 * It drives the unmodified nvidia-ml-py. The trace and the faults come from the file that
 * $LEM_PLAYED_NVML names, read at every nvmlInit: one "key value..." a line, times in seconds after
 * t0_ns on CLOCK_MONOTONIC. tests/meters/played.py writes that file and computes the truth.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3,
       NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
#define NEVER 1e18
#define MOST 256

typedef struct { double until_s, from_w, to_w; } Segment;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; }
    Process;

static struct {
    long long t0_ns;
    int devices, segments, pids, no_energy, no_power, init_error, mig;
    double tick_ms, phase_ms, second_tick_ms, tick_change_s;
    double gain, offset_w, start_mj, wrap_mj, device_step;
    double freeze_s, thaw_s, backwards_s, jump_s, jump_mj, lost_s, unsupported_s;
    double power_average_ms, power_update_ms, call_us;
    int fields, field_type, ignores_scope, architecture, mig_devices, lost_device;
    double average_window_ms, average_update_ms, instant_window_ms, instant_update_ms, module_extra_w;
    double limit_w, limit_change_s, second_limit_w;
    double throttle_s, throttle_end_s, clock_change_s;
    unsigned long long throttle_bits;
    Segment segment[MOST];
    unsigned pid[MOST];
} play;
static int running;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec * 1000000000LL + t.tv_nsec - play.t0_ns) / 1e9;
}

/* Energy in J from t = 0 to t. Before 0 the first segment's power holds. */
static double energy_j(double t) {
    double from = 0, sum = 0;
    if (play.segments == 0) return 0;
    if (t < 0) return play.segment[0].from_w * t;
    for (int i = 0; i < play.segments; i++) {
        Segment s = play.segment[i];
        double length = s.until_s - from, part = fmin(t, s.until_s) - from;
        double slope = length < 1e17 ? (s.to_w - s.from_w) / length : 0;
        sum += s.from_w * part + slope * part * part / 2;
        if (t <= s.until_s) return sum;
        from = s.until_s;
    }
    return sum + play.segment[play.segments - 1].to_w * (t - from);
}

static double last_tick_s(double t, int device) {
    double tick = play.tick_ms / 1e3, change = play.tick_change_s;
    double phase = play.phase_ms / 1e3 + device * tick / 3;
    if (t >= change) {
        double second = play.second_tick_ms / 1e3;
        return change + floor((t - change) / second) * second;
    }
    return floor((t - phase) / tick) * tick + phase;
}

static int device_of(void *handle) { return (int)(size_t)handle - 1; }

static int check(void *handle) {
    if (play.call_us > 0) usleep((useconds_t)play.call_us);
    if (!running) return UNINITIALIZED;
    if (device_of(handle) < 0 || device_of(handle) >= play.devices) return INVALID_ARGUMENT;
    if (play.lost_device >= 0 && device_of(handle) != play.lost_device) return SUCCESS;
    return now_s() >= play.lost_s ? GPU_IS_LOST : SUCCESS;
}

static void defaults(void) {
    memset(&play, 0, sizeof play);
    play.devices = 1;
    play.tick_ms = play.second_tick_ms = 100;
    play.gain = 1;
    play.start_mj = 5e9;
    play.limit_w = 700;
    play.field_type = 1;
    play.lost_device = -1;
    play.average_window_ms = 1000;
    play.average_update_ms = play.instant_update_ms = 100;
    play.instant_window_ms = 25;
    play.tick_change_s = play.freeze_s = play.thaw_s = play.backwards_s = play.jump_s = NEVER;
    play.lost_s = play.unsupported_s = play.limit_change_s = NEVER;
    play.throttle_s = play.throttle_end_s = play.clock_change_s = NEVER;
}

static void set(const char *line) {
    char key[64];
    double a = 0, b = 0, c = 0;
    if (sscanf(line, "%63s %lf %lf %lf", key, &a, &b, &c) < 2) return;
#define NUMBER(name) if (!strcmp(key, #name)) { play.name = a; return; }
    NUMBER(devices) NUMBER(no_energy) NUMBER(no_power) NUMBER(init_error) NUMBER(mig)
    NUMBER(tick_ms) NUMBER(phase_ms) NUMBER(second_tick_ms) NUMBER(tick_change_s)
    NUMBER(gain) NUMBER(offset_w) NUMBER(start_mj) NUMBER(wrap_mj) NUMBER(device_step)
    NUMBER(freeze_s) NUMBER(thaw_s) NUMBER(backwards_s) NUMBER(jump_s) NUMBER(jump_mj)
    NUMBER(lost_s) NUMBER(unsupported_s) NUMBER(power_average_ms) NUMBER(power_update_ms)
    NUMBER(call_us) NUMBER(limit_w) NUMBER(limit_change_s) NUMBER(second_limit_w)
    NUMBER(fields) NUMBER(field_type) NUMBER(ignores_scope) NUMBER(architecture)
    NUMBER(mig_devices) NUMBER(lost_device) NUMBER(average_window_ms) NUMBER(average_update_ms)
    NUMBER(instant_window_ms) NUMBER(instant_update_ms) NUMBER(module_extra_w)
    NUMBER(throttle_s) NUMBER(throttle_end_s) NUMBER(clock_change_s)
    if (!strcmp(key, "t0_ns")) sscanf(line, "%*s %lld", &play.t0_ns);
    if (!strcmp(key, "throttle_bits")) play.throttle_bits = (unsigned long long)a;
    if (!strcmp(key, "pid") && play.pids < MOST) play.pid[play.pids++] = (unsigned)a;
    if (!strcmp(key, "segment") && play.segments < MOST)
        play.segment[play.segments++] = (Segment){a, b, c};
}

int nvmlInitWithFlags(unsigned flags) {
    const char *path = getenv("LEM_PLAYED_NVML");
    FILE *f = path ? fopen(path, "r") : NULL;
    char line[256];
    (void)flags;
    defaults();
    if (f) {
        while (fgets(line, sizeof line, f)) set(line);
        fclose(f);
    }
    if (play.init_error) return play.init_error;
    running++;
    return SUCCESS;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { if (running) running--; return SUCCESS; }
const char *nvmlErrorString(int result) { (void)result; return "an error that was asked for"; }

int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)play.devices; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if ((int)index >= play.devices) return INVALID_ARGUMENT;
    *handle = (void *)(size_t)(index + 1);
    return SUCCESS;
}
int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    if (device_of(handle) >= 1000) {
        snprintf(name, length, "Played GPU MIG %dg.10gb", device_of(handle) - 999);
        return SUCCESS;
    }
    snprintf(name, length, "Played GPU");
    return check(handle);
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012d", device_of(handle));
    return check(handle);
}
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "0.0-played");
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
    int result = check(handle), device = device_of(handle);
    double t = now_s(), value;
    if (result) return result;
    if (play.no_energy || t >= play.unsupported_s) return NOT_SUPPORTED;
    if (t >= play.freeze_s && t < play.thaw_s) t = play.freeze_s;
    t = last_tick_s(t, device);
    value = play.start_mj
        + 1e3 * (play.gain * energy_j(t) + play.offset_w * t) * (1 + device * play.device_step);
    if (t >= play.backwards_s) value -= 1e6;
    if (t >= play.jump_s) value += play.jump_mj;
    if (play.wrap_mj > 0) value = fmod(value, play.wrap_mj);
    *mj = (unsigned long long)value;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) {
    int result = check(handle);
    double t = now_s(), width = fmax(play.power_average_ms, 0.01) / 1e3;
    if (result) return result;
    if (play.no_power) return NOT_SUPPORTED;
    if (play.power_update_ms > 0)
        t = floor(t / (play.power_update_ms / 1e3)) * play.power_update_ms / 1e3;
    double w = (energy_j(t) - energy_j(t - width)) / width * play.gain + play.offset_w;
    *mw = (unsigned)(1e3 * w * (1 + device_of(handle) * play.device_step));
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *c) {
    (void)sensor;
    *c = 55;
    return check(handle);
}
int nvmlDeviceGetClockInfo(void *handle, unsigned type, unsigned *mhz) {
    *mhz = type == 2 ? 2600 : 1980;
    return check(handle);
}
int nvmlDeviceGetMaxClockInfo(void *handle, unsigned type, unsigned *mhz) {
    return nvmlDeviceGetClockInfo(handle, type, mhz);
}
int nvmlDeviceGetApplicationsClock(void *handle, unsigned type, unsigned *mhz) {
    (void)type;
    *mhz = now_s() >= play.clock_change_s ? 1200 : 1980;
    return check(handle);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *reasons) {
    double t = now_s();
    *reasons = t >= play.throttle_s && t < play.throttle_end_s ? play.throttle_bits : 0;
    return check(handle);
}
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *mw) {
    *mw = (unsigned)(1e3 * (now_s() >= play.limit_change_s ? play.second_limit_w : play.limit_w));
    return check(handle);
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    *current = *pending = (unsigned)play.mig;
    return check(handle);
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *total_free_used) {
    total_free_used[0] = 80ULL << 30;
    total_free_used[1] = 79ULL << 30;
    total_free_used[2] = 1ULL << 30;
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

/* Fields 185 (averaged power, `fields` & 1) and 186 (present power, `fields` & 2): the mean over the
 * window that ends with the sensor's last update. Scope 1 is the module, `module_extra_w` more. */
typedef struct {
    unsigned id, scope;
    long long timestamp_us, latency_us;
    int type, result;
    union { double d; unsigned u; unsigned long ul; unsigned long long ull; } value;
} FieldValue;

static int field(int device, FieldValue *f) {
    int average = f->id == 185, module = f->scope == 1 && !play.ignores_scope;
    double update = (average ? play.average_update_ms : play.instant_update_ms) / 1e3;
    double width = (average ? play.average_window_ms : play.instant_window_ms) / 1e3, t = now_s();
    if ((f->id != 185 && f->id != 186) || !(play.fields & (average ? 1 : 2))) return NOT_SUPPORTED;
    if (f->scope > 1 || (module && play.module_extra_w <= 0)) return NOT_SUPPORTED;
    if (update > 0) t = floor(t / update) * update;
    double w = (energy_j(t) - energy_j(t - width)) / width * play.gain + play.offset_w;
    double mw = 1e3 * (w * (1 + device * play.device_step) + (module ? play.module_extra_w : 0));
    f->type = play.field_type;
    if (f->type == 0) f->value.d = mw;
    else if (f->type == 1) f->value.u = (unsigned)mw;
    else f->value.ull = (unsigned long long)mw;
    return SUCCESS;
}
int nvmlDeviceGetFieldValues(void *handle, int count, FieldValue *values) {
    int result = check(handle);
    if (result) return result;
    for (int i = 0; i < count; i++) values[i].result = field(device_of(handle), &values[i]);
    return SUCCESS;
}
int nvmlDeviceGetArchitecture(void *handle, unsigned *generation) {
    *generation = (unsigned)play.architecture;
    return play.architecture ? check(handle) : NOT_SUPPORTED;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    *count = 7;
    return check(handle);
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **partition) {
    (void)handle;
    if ((int)index >= play.mig_devices) return NOT_FOUND;
    *partition = (void *)(size_t)(1001 + index);
    return SUCCESS;
}
