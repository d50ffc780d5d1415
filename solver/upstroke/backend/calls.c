/* The stages of a step that are compiled, in one call (after voltage.c): for few nodes the way from Python to each of them
 * would take longer than the stage. */
#include <time.h>

typedef struct {
    range_function f;             /* over [0, n); NULL: a step of V with these arguments */
    void *args;
    long n;
    double *t;                    /* of f: where it finds the time of the step, start + step dt */
    double start, dt;
    double *seconds;              /* what the stages of its name have taken */
    long last;                    /* of those with its name: after it nothing runs where the status has a halting bit */
} stage_call;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* The status bits of all that ran; ``solves``: how many steps of V. */
long run_calls(team *t, const stage_call *calls, long count, long step, long halting, long *solves)
{
    double before = seconds_now();
    long status = 0;
    *solves = 0;
    for (const stage_call *c = calls; c < calls + count; c++) {
        if (c->f) {
            const volatile double passed = step * c->dt;        /* rounded, as the host rounds it */
            *c->t = c->start + passed;
            status |= for_range(t, c->f, c->args, c->n);
        } else {
            status |= step_voltage(t, c->args, c->n);
            ++*solves;
        }
        if (!c->last) continue;
        const double after = seconds_now();
        *c->seconds += after - before;
        before = after;
        if (status & halting) break;
    }
    return status;
}
