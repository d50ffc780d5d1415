/* Activation and repolarisation of every node, one call per time step. REAL, the type of V, is defined before this text.
 *
 * A node waits (beat closed) until V crosses the threshold upwards, then is in a beat until V has come back by `fraction`
 * of the beat's own amplitude. Crossings are interpolated linearly between the last step and this one. */
#include <string.h>

typedef struct {
    const REAL *V;            /* mV, now */
    REAL *before;             /* mV, one step ago */
    REAL *lowest;             /* mV, minimum since the maximum of the last beat, or since the start */
    REAL *highest;            /* mV, maximum of the running beat */
    REAL *rest;               /* mV, `lowest` when the running beat began */
    int *beats;               /* activations so far */
    unsigned char *active;    /* 1 while in a beat */
    unsigned char *again;     /* 1 where V crossed the threshold upwards once more inside a beat, after it
                                 had come three quarters of the way back: perhaps a beat that is not counted */
    double *const *activation;        /* ms, [row][node]; rows holds one more than any node has used */
    double *const *repolarisation;
    double *range;            /* mV, lowest V and lowest -V of all nodes and steps */
    double t_before, dt;      /* ms */
    double threshold, fraction;
    long rows;
} activation_args;

/* *place = min(*place, value) by several threads: the result does not depend on their order. */
static void keep_lowest(double *place, double value)
{
    long long seen, wanted;
    double old;
    seen = __atomic_load_n((long long *)place, __ATOMIC_RELAXED);
    for (;;) {
        memcpy(&old, &seen, sizeof old);
        if (!(value < old))
            return;
        memcpy(&wanted, &value, sizeof wanted);
        if (__atomic_compare_exchange_n((long long *)place, &seen, wanted, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
    }
}

/* Returns 1 when a node has begun to use the last row, so that the caller adds one before the next step. */
long upstroke_see_activation(long begin, long end, const void *args)
{
    const activation_args *a = args;
    const REAL threshold = (REAL)a->threshold;
    double low = 1e300, negative_high = 1e300;
    long full = 0;

    for (long i = begin; i < end; i++) {
        const REAL V = a->V[i], before = a->before[i];
        a->before[i] = V;
        low = V < low ? V : low;
        negative_high = -V < negative_high ? -V : negative_high;

        if (before < threshold && V >= threshold) {
            if (a->active[i]) {
                const double top = a->highest[i];
                if (a->lowest[i] <= top - 0.75 * a->fraction * (top - a->rest[i]))
                    a->again[i] = 1;
            } else {
                const int row = a->beats[i]++;
                a->activation[row][i] = a->t_before + a->dt * ((double)threshold - before) / ((double)V - before);
                a->active[i] = 1;
                a->highest[i] = V;
                a->rest[i] = a->lowest[i];
                full |= row + 1 == a->rows;
            }
        }
        if (a->active[i]) {
            if (V >= a->highest[i]) {
                a->highest[i] = V;
                a->lowest[i] = V;
            } else {
                const double top = a->highest[i], level = top - a->fraction * (top - a->rest[i]);
                if (V <= level) {
                    a->repolarisation[a->beats[i] - 1][i] =
                        a->t_before + a->dt * (before - level) / ((double)before - V);
                    a->active[i] = 0;
                }
            }
        }
        if (V < a->lowest[i])
            a->lowest[i] = V;
    }
    keep_lowest(&a->range[0], low);
    keep_lowest(&a->range[1], negative_high);
    return full;
}
