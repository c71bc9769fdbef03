/* Plays a power trace whose energy is known in closed form, and spoils the counter as it is told.
 *
 * The file that $LEM_PLAYED_NVML names has one "key value..." a line, times in seconds after t0_ns
 * on CLOCK_MONOTONIC; "device 1 key value..." is for one board alone. tests/meters/played.py
 * writes it, says what each key does, and computes the truth.
 */
#define _GNU_SOURCE
#include "played_trace.h"
#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

Play play;
int played;
static struct timespec changed;

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec * 1000000000LL + t.tv_nsec - play.t0_ns) / 1e9;
}

/* Numbers that look like chance but are the same at every call: splitmix64 (public domain, Vigna),
 * and Box-Muller on two of them. */
static uint64_t mixed(uint64_t x) {
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}
static double uniform(double seed, int what, int device, long k) {
    uint64_t x = mixed(mixed((uint64_t)(int64_t)seed * 1000 + (uint64_t)(what * 10 + device)));
    return (double)(mixed(x ^ (uint64_t)k) >> 11) / 9007199254740992.0;
}
static double normal(double seed, int what, int device, long k) {
    double u = uniform(seed, what, device, 2 * k), v = uniform(seed, what, device, 2 * k + 1);
    return sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v);
}
enum { TICK_JITTER, VALUE_NOISE, SENSOR_NOISE, POWER_NOISE, SLOWNESS };

/* Energy of the first `part` seconds of a segment that is `length` long. */
static double part_j(const Segment *s, double length, double part) {
    if (s->tau_s > 0)
        return s->to_w * part + (s->from_w - s->to_w) * s->tau_s * -expm1(-part / s->tau_s);
    return s->from_w * part + (length < 1e17 ? (s->to_w - s->from_w) / length : 0) * part * part / 2;
}

/* Energy in J from t = 0 to t. Before 0 the first segment's power holds, after the end the last's. */
double energy_j(const Board *b, double t) {
    double from = 0, sum = 0;
    if (b->segments == 0) return 0;
    if (t < 0) return b->segment[0].from_w * t;
    for (int i = 0; i < b->segments; i++) {
        const Segment *s = &b->segment[i];
        sum += part_j(s, s->until_s - from, fmin(t, s->until_s) - from);
        if (t <= s->until_s) return sum;
        from = s->until_s;
    }
    return sum + b->segment[b->segments - 1].to_w * (t - from);
}

static double tick_s(const Board *b, int device, long k) {
    double phase = b->phase_ms / 1e3 + device * b->tick_ms / 3e3;
    double jitter = b->jitter_ms / 1e3 * (2 * uniform(b->seed, TICK_JITTER, device, k) - 1);
    return k * (b->tick_ms / 1e3) + phase + jitter;
}

/* The last tick up to t: its number, and when it was. */
static long last_tick(const Board *b, int device, double t, double *at) {
    double tick = b->tick_ms / 1e3, change = b->tick_change_s;
    long k;
    if (t >= change) {
        double second = b->second_tick_ms / 1e3;
        k = (long)floor((t - change) / second);
        *at = change + (double)k * second;
        return 1000000 + k;
    }
    k = (long)floor((t - b->phase_ms / 1e3 - device * tick / 3) / tick) + 2;
    while (tick_s(b, device, k) > t) k--;
    *at = tick_s(b, device, k);
    return k;
}

/* A sensor that looks at a share (duty) of each period, and takes it for the whole of it. */
static double seen_j(Board *b, int device, long k, double at) {
    double tick = b->tick_ms / 1e3;
    if (b->duty >= 1 || k <= 0) return energy_j(b, at);
    if (b->seen.upto == 0 || b->seen.upto > k) {
        b->seen.upto = 0;
        b->seen.sum = energy_j(b, tick_s(b, device, 0));
    }
    for (; b->seen.upto < k; b->seen.upto++) {
        double end = tick_s(b, device, b->seen.upto + 1);
        double looked = energy_j(b, end) - energy_j(b, end - b->duty * tick);
        b->seen.sum += looked / b->duty;
    }
    return b->seen.sum;
}

/* What noise of the sensor has added up to by tick k. */
static double noise_j(Board *b, int device, long k) {
    if (b->noise_w <= 0) return 0;
    if (b->noise.upto == 0 || b->noise.upto > k) b->noise = (Memo){0, 0};
    for (; b->noise.upto < k; b->noise.upto++)
        b->noise.sum += b->noise_w * b->tick_ms / 1e3
            * normal(b->seed, SENSOR_NOISE, device, b->noise.upto);
    return b->noise.sum;
}

static double counted_mj(Board *b, int device, double t) {
    double at, j;
    long k = last_tick(b, device, t, &at);
    at -= b->late_ms / 1e3;
    j = b->gain * seen_j(b, device, k, at) + b->offset_w * at + noise_j(b, device, k);
    return 1e3 * j + b->noise_mj * normal(b->seed, VALUE_NOISE, device, k);
}

double counter_mj(Board *b, int device, double t) {
    double quantum = b->quantum_mj > 0 ? b->quantum_mj : 1;
    double lost = 0, shown = t, value;
    if (t >= b->freeze_s && t < b->thaw_s) shown = b->freeze_s;
    else if (t >= b->thaw_s && b->thaw_loses > 0)
        lost = counted_mj(b, device, b->thaw_s) - counted_mj(b, device, b->freeze_s);
    value = counted_mj(b, device, shown) - lost;
    if (t >= b->second_scale_s)
        value += (b->second_scale - 1) * (value - counted_mj(b, device, b->second_scale_s));
    value = b->start_mj + value * b->scale;
    if (t >= b->backwards_s) value -= b->back_mj;
    if (t >= b->jump_s) value += b->jump_mj;
    if (b->wrap_mj > 0) value = fmod(value, b->wrap_mj);
    return floor(fmax(0, value) / quantum) * quantum;
}

double power_w(const Board *b, int device, double t, double average_ms, double update_ms) {
    double width = fmax(average_ms, 0.01) / 1e3, w, each = update_ms / 1e3;
    if (update_ms > 0) t = floor(t / each) * each;
    w = (energy_j(b, t) - energy_j(b, t - width)) / width * b->gain + b->offset_w;
    if (b->power_noise_w > 0)
        w += b->power_noise_w * normal(b->seed, POWER_NOISE, device, (long)(t * 1000));
    return fmax(0, w * b->scale);
}

int state(const Board *b, double t) {
    if (t >= b->lost_s) return GPU_IS_LOST;
    return t >= b->error_s && t < b->error_end_s ? (int)b->error_code : SUCCESS;
}

int counter_state(const Board *b, double t) {
    return b->no_energy > 0 || (t >= b->unsupported_s && t < b->supported_s) ? NOT_SUPPORTED
                                                                             : SUCCESS;
}

void wait_as_long_as_a_call(void) {
    static long calls;
    double us = play.call_us;
    if (play.slow_share > 0
        && uniform(play.board[0].seed, SLOWNESS, 0, calls++) < play.slow_share)
        us += play.slow_us;
    if (us > 0) {
        struct timespec t = {(time_t)(us / 1e6), (long)(fmod(us, 1e6) * 1e3)};
        nanosleep(&t, NULL);
    }
}

#define FIELD(name) {#name, offsetof(Board, name)}
static const struct { const char *name; size_t at; } board_field[] = {
    FIELD(tick_ms), FIELD(phase_ms), FIELD(second_tick_ms), FIELD(tick_change_s), FIELD(jitter_ms),
    FIELD(late_ms), FIELD(duty), FIELD(gain), FIELD(offset_w), FIELD(scale), FIELD(start_mj),
    FIELD(wrap_mj), FIELD(quantum_mj), FIELD(noise_mj), FIELD(noise_w), FIELD(seed),
    FIELD(freeze_s), FIELD(thaw_s), FIELD(thaw_loses), FIELD(backwards_s), FIELD(back_mj),
    FIELD(jump_s), FIELD(jump_mj), FIELD(second_scale_s), FIELD(second_scale), FIELD(lost_s),
    FIELD(unsupported_s), FIELD(supported_s), FIELD(error_s), FIELD(error_end_s),
    FIELD(error_code), FIELD(no_energy), FIELD(no_power), FIELD(power_average_ms),
    FIELD(power_update_ms), FIELD(power_noise_w), FIELD(instant_window_ms),
    FIELD(instant_update_ms), FIELD(module_w), FIELD(limit_w), FIELD(limit_change_s),
    FIELD(second_limit_w), FIELD(throttle_s), FIELD(throttle_end_s), FIELD(throttle_bits),
    FIELD(clock_change_s), FIELD(most_limit_w), FIELD(held_w), FIELD(set_error),
    FIELD(ignores_set), FIELD(no_limit), FIELD(no_lock), FIELD(no_clock_list),
    FIELD(clock_held_mhz),
};
#undef FIELD
#define FIELD(name) {#name, offsetof(Play, name)}
static const struct { const char *name; size_t at; } play_field[] = {
    FIELD(devices), FIELD(device_step), FIELD(serial), FIELD(init_error), FIELD(mig), FIELD(mig_devices),
    FIELD(live), FIELD(architecture), FIELD(fields), FIELD(call_us), FIELD(slow_us),
    FIELD(slow_share), FIELD(field_type), FIELD(ignores_scope), FIELD(graphics_pid),
};

static void defaults(Play *p) {
    Board b;
    memset(p, 0, sizeof *p);
    memset(&b, 0, sizeof b);
    b.tick_ms = b.second_tick_ms = b.instant_update_ms = 100;
    b.instant_window_ms = 25;
    b.gain = b.scale = b.duty = b.second_scale = 1;
    b.start_mj = 5e9;
    b.back_mj = 1e6;
    b.limit_w = 700;
    b.error_code = UNKNOWN_ERROR;
    b.tick_change_s = b.freeze_s = b.thaw_s = b.backwards_s = b.jump_s = b.second_scale_s = NEVER;
    b.lost_s = b.unsupported_s = b.supported_s = b.error_s = b.error_end_s = NEVER;
    b.limit_change_s = b.throttle_s = b.throttle_end_s = b.clock_change_s = NEVER;
    p->devices = p->field_type = 1;
    p->architecture = 9;
    for (int i = 0; i < BOARDS; i++) p->board[i] = b;
}

static void set_board(Board *b, const char *key, double a, const Segment *s) {
    if (!strcmp(key, "segment")) {
        if (b->segments == SEGMENTS) {
            fprintf(stderr, "played: more than %d segments\n", SEGMENTS);
            abort();
        }
        b->segment[b->segments++] = *s;
    }
    for (size_t i = 0; i < sizeof board_field / sizeof *board_field; i++)
        if (!strcmp(key, board_field[i].name)) *(double *)((char *)b + board_field[i].at) = a;
}

static void set(Play *p, const char *line) {
    char key[64];
    double a = 0;
    Segment s = {0, 0, 0, 0};
    int device = -1, skip = 0;
    if (sscanf(line, "device %d %n", &device, &skip) == 1) line += skip;
    if (sscanf(line, "%63s %lf", key, &a) < 2) return;
    sscanf(line, "%*s %lf %lf %lf %lf", &s.until_s, &s.from_w, &s.to_w, &s.tau_s);
    if (device >= 0) {
        if (device < BOARDS) set_board(&p->board[device], key, a, &s);
        return;
    }
    for (int i = 0; i < BOARDS; i++) set_board(&p->board[i], key, a, &s);
    for (size_t i = 0; i < sizeof play_field / sizeof *play_field; i++)
        if (!strcmp(key, play_field[i].name)) *(double *)((char *)p + play_field[i].at) = a;
    if (!strcmp(key, "t0_ns")) sscanf(line, "%*s %lld", &p->t0_ns);
    if (!strcmp(key, "pid") && p->pids < PIDS) p->pid[p->pids++] = (unsigned)a;
}

/* What an environment that lem makes for its agents does not name lies beside the library. */
const char *played_path(void) {
    static char beside[4096];
    const char *named = getenv("LEM_PLAYED_NVML"), *end;
    Dl_info about;
    if (named) return named;
    if (!dladdr((void *)played_path, &about) || !(end = strrchr(about.dli_fname, '/'))) return NULL;
    snprintf(beside, sizeof beside, "%.*s/played.txt", (int)(end - about.dli_fname), about.dli_fname);
    return beside;
}

void load(void) {
    static Play next;
    const char *path = played_path();
    FILE *f = path ? fopen(path, "r") : NULL;
    struct stat about;
    char line[256];
    defaults(&next);
    played = f != NULL;
    if (f) {
        if (fstat(fileno(f), &about) == 0) changed = about.st_mtim;
        while (fgets(line, sizeof line, f)) set(&next, line);
        fclose(f);
    }
    if (next.devices > BOARDS) next.devices = BOARDS;
    for (int i = 1; i < BOARDS; i++) next.board[i].scale *= 1 + i * next.device_step;
    play = next;
}

void refresh(void) {
    const char *path = played_path();
    struct stat about;
    if (play.live <= 0 || !path || stat(path, &about)) return;
    if (about.st_mtim.tv_sec != changed.tv_sec || about.st_mtim.tv_nsec != changed.tv_nsec) load();
}

/* For tests in virtual time: what would be shown t seconds after t0_ns. Negative: minus the error. */
double played_counter(int device, double t) {
    Board *b = &play.board[device];
    int result = state(b, t) ? state(b, t) : counter_state(b, t);
    return result ? -result : counter_mj(b, device, t);
}
double played_power(int device, double t) {
    Board *b = &play.board[device];
    int result = state(b, t) ? state(b, t) : b->no_power > 0 ? NOT_SUPPORTED : SUCCESS;
    return result ? -result : power_w(b, device, t, b->power_average_ms, b->power_update_ms);
}
