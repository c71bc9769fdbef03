/* What the played libraries play: power over time, the counter that shows it, its faults. */
#ifndef PLAYED_TRACE_H
#define PLAYED_TRACE_H

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3,
       INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN_ERROR = 999 };
#define NEVER 1e18
#define BOARDS 4
#define SEGMENTS 512
#define PIDS 256

/* Power goes from from_w towards to_w until until_s: in a straight line where tau_s is 0, else
 * exponentially with that time constant. */
typedef struct { double until_s, from_w, to_w, tau_s; } Segment;

/* What was added up so far, so that the sum of all ticks costs one step a tick. */
typedef struct { long upto; double sum; } Memo;

typedef struct {
    int segments;
    Segment segment[SEGMENTS];
    /* The counter. */
    double tick_ms, phase_ms, second_tick_ms, tick_change_s, jitter_ms, late_ms, duty;
    double gain, offset_w, scale, start_mj, wrap_mj, quantum_mj, noise_mj, noise_w, seed;
    double freeze_s, thaw_s, thaw_loses, backwards_s, back_mj, jump_s, jump_mj;
    double second_scale_s, second_scale;
    double lost_s, unsupported_s, supported_s, error_s, error_end_s, error_code;
    double no_energy, no_power;
    /* Power. */
    double power_average_ms, power_update_ms, power_noise_w;
    double instant_window_ms, instant_update_ms, module_w;
    double limit_w, limit_change_s, second_limit_w;
    double most_limit_w, held_w, set_error, ignores_set, no_limit, no_lock, no_clock_list;
    double clock_held_mhz;
    double throttle_s, throttle_end_s, throttle_bits, clock_change_s;
    Memo seen, noise;
} Board;

typedef struct {
    long long t0_ns;
    double devices, device_step, serial, init_error, mig, mig_devices, live, architecture, fields;
    double field_type, ignores_scope;
    double call_us, slow_us, slow_share, graphics_pid;
    int pids;
    unsigned pid[PIDS];
    Board board[BOARDS];
} Play;

extern Play play;
extern int played;                          /* whether there is anything to play */

const char *played_path(void);              /* $LEM_PLAYED_NVML, or beside the library */
void load(void);                            /* anew from there */
void refresh(void);                         /* where it is `live` and the file has changed */
double now_s(void);
void wait_as_long_as_a_call(void);
double energy_j(const Board *b, double t);  /* the truth, from t = 0 */
double counter_mj(Board *b, int device, double t);
double power_w(const Board *b, int device, double t, double average_ms, double update_ms);
int state(const Board *b, double t);        /* SUCCESS, or why nothing can be read */
int counter_state(const Board *b, double t);
double played_counter(int device, double t);
double played_power(int device, double t);

#endif
