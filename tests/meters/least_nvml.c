/* The least libnvidia-ml.so.1 that a meter can be asked to work with: handles, a name, energy and
 * power; nothing else is there, as with an old driver or somebody else's played library.
 *
 * Power is $LOW_W, from $FROM_S to $UNTIL_S after $T0_NS (CLOCK_MONOTONIC) $HIGH_W; the counter
 * ticks every $TICK_MS.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double number(const char *name, double otherwise) {
    const char *text = getenv(name);
    return text ? atof(text) : otherwise;
}
static double now_s(void) {
    struct timespec t;
    long long t0 = getenv("T0_NS") ? atoll(getenv("T0_NS")) : 0;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec * 1000000000LL + t.tv_nsec - t0) / 1e9;
}
static double energy_j(double t) {
    double low = number("LOW_W", 70), high = number("HIGH_W", 300);
    double from = number("FROM_S", 1), until = number("UNTIL_S", 2);
    return low * t + (high - low) * fmax(0, fmin(t, until) - from);
}

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int result) { (void)result; return "an error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)1;
    return index ? 2 : 0;
}
int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    (void)handle;
    snprintf(name, length, "Somebody's GPU");
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
    double tick = number("TICK_MS", 100) / 1e3;
    (void)handle;
    *mj = (unsigned long long)(1e9 + 1e3 * energy_j(floor(now_s() / tick) * tick));
    return 0;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) {
    double t = now_s();
    (void)handle;
    *mw = (unsigned)(1e3 * (energy_j(t) - energy_j(t - 1e-3)) / 1e-3);
    return 0;
}
