/* A libamd_smi.so that plays a square wave of power, for the unmodified Python package amdsmi.
 *
 * Reads "name value" lines from the file in LEM_PLAYED_AMD at every call, so that a test can change
 * what is played. Time is CLOCK_MONOTONIC in ns. Where fields lie in the library's structures
 * (LAYOUT_*) and what else it exports (STUB) is generated from the Python package itself. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "played_amd_layout.h"

enum { SUCCESS = 0, NOT_SUPPORTED = 2, NO_PERM = 10 };

static double option(const char *name, double fallback) {
    const char *path = getenv("LEM_PLAYED_AMD");
    FILE *f = path ? fopen(path, "r") : NULL;
    char key[64];
    double value, found = fallback;
    if (!f) return fallback;
    while (fscanf(f, "%63s %lf", key, &value) == 2)
        if (!strcmp(key, name)) found = value;
    fclose(f);
    return found;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + t.tv_nsec / 1e9 - option("t0_ns", 0) / 1e9;
}

static int board_of(void *handle) { return (int)(intptr_t)handle - 0x1000; }

static double scale_of(void *handle) { return 1 + board_of(handle) * option("device_step", 0); }

static int lost(void *handle) {
    return board_of(handle) == 0 && now_s() >= option("lost_s", INFINITY);
}

/* Energy in J until t of a square wave: high for duty of each period. */
static double energy_j(double t) {
    double low = option("low_w", 100), high = option("high_w", 100);
    double period = option("period_s", 1), duty = option("duty", 0.5);
    double whole = floor(t / period), rest = t - whole * period;
    double in_high = fmin(rest, duty * period);
    return whole * period * (duty * high + (1 - duty) * low) + in_high * high +
           (rest - in_high) * low;
}

static double power_w(double t) {
    double period = option("period_s", 1);
    return fmod(t, period) < option("duty", 0.5) * period ? option("high_w", 100)
                                                         : option("low_w", 100);
}

int amdsmi_init(uint64_t flags) {
    (void)flags;
    return (int)option("init_error", SUCCESS);
}

int amdsmi_shut_down(void) { return SUCCESS; }

int amdsmi_get_socket_handles(uint32_t *count, void **handles) {
    uint32_t n = (uint32_t)option("devices", 1);
    if (handles)
        for (uint32_t i = 0; i < n; i++) handles[i] = (void *)(intptr_t)(0x1000 + i);
    *count = n;
    return SUCCESS;
}

int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **handles) {
    if (handles) handles[0] = socket;
    *count = 1;
    return SUCCESS;
}

int amdsmi_get_energy_count(void *h, uint64_t *count, float *resolution_uj, uint64_t *t_ns) {
    double t = now_s(), tick = option("tick_ms", 1) / 1e3;
    if (lost(h)) return NO_PERM;
    if (option("no_energy", 0)) return NOT_SUPPORTED;
    *resolution_uj = (float)option("resolution_uj", 15.3);
    if (t > option("freeze_s", INFINITY)) t = option("freeze_s", 0);
    t = floor(t / tick) * tick;
    double joules = 1000 + scale_of(h) * energy_j(t);
    if (t > option("back_s", INFINITY)) joules -= option("back_j", 0);
    *count = (uint64_t)(joules * 1e6 / (double)*resolution_uj);
    *t_ns = (uint64_t)(t * 1e9);
    return SUCCESS;
}

int amdsmi_get_power_info(void *h, char *info) {
    uint32_t watts = (uint32_t)lround(scale_of(h) * power_w(now_s()));
    uint32_t none = 0xFFFF, current = option("averages", 0) ? none : watts;
    uint32_t average = option("averages", 0) ? watts : none;
    if (lost(h) || option("no_power", 0)) return NOT_SUPPORTED;
    memset(info, 0, LAYOUT_POWER_SIZE);
    memcpy(info + LAYOUT_POWER_CURRENT, &current, sizeof current);
    memcpy(info + LAYOUT_POWER_AVERAGE, &average, sizeof average);
    return SUCCESS;
}

int amdsmi_get_temp_metric(void *h, uint32_t sensor, uint32_t metric, int64_t *value) {
    (void)h, (void)sensor, (void)metric;
    *value = 55;
    return SUCCESS;
}

int amdsmi_get_gpu_metrics_info(void *h, char *metrics) {
    uint64_t bits = (uint64_t)option("throttle_bits", 0);
    (void)h;
    memset(metrics, 0, LAYOUT_METRICS_SIZE);
    memcpy(metrics + LAYOUT_METRICS_THROTTLE, &bits, sizeof bits);
    return SUCCESS;
}

int amdsmi_get_gpu_process_list(void *h, uint32_t *count, char *list) {
    uint32_t pid = (uint32_t)option("pid", 0), room = *count;
    uint64_t bytes = (uint64_t)option("vram_bytes", 1 << 20);
    (void)h;
    *count = 0;
    if (pid && room) {
        memset(list, 0, LAYOUT_PROCESS_SIZE);
        memcpy(list + LAYOUT_PROCESS_PID, &pid, sizeof pid);
        memcpy(list + LAYOUT_PROCESS_VRAM, &bytes, sizeof bytes);
        *count = 1;
    }
    return SUCCESS;
}

STUBS
