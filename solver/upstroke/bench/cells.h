/* Many steps of a batch of cells in one call. C and CUDA; stands behind a generated kernel, whose text it uses.
 *
 * Before each step inputs act on the cells; after it V and calcium are looked at, beat by beat. */
typedef struct {
    real *narrow; double *wide;   /* what is acted on: one value a cell, in the one that is not NULL */
    const double *values;         /* [event][train]; NaN: nothing */
    long how;                     /* 0: += value scale; 1: += (value - it) scale; 2: held at the value */
    double scale;
} up_channel;

typedef struct { const real *narrow; const double *wide; } up_row;

typedef struct {
    upstroke_args a;
    double t, step_dt;            /* a backend sets them; the step's number tells the time here */
    const long *event;            /* (events) steps from which the inputs are those of event e; the first is 0 */
    const unsigned char *quiet;   /* (events) 1: no channel acts */
    const unsigned char *starts;  /* [event][train] 1: a beat starts at its step */
    const int *train;             /* (cells) which train a cell follows */
    const up_channel *channel;
    long events, trains, channels;
    long first, steps;            /* of this call */
    const up_row *taken;          /* what a sample holds */
    double *sample;               /* [sample][row][cell < sampled], at steps n with n % every == 0, before the step */
    long rows, sampled, every;    /* every = 0: no samples */
    double *beat;                 /* [quantity][cell], the beat that runs; NULL: nothing is looked at */
    double *beats;                /* [beat % kept][quantity][cell], those that are over */
    long kept, stride;            /* of quantities */
    const real *calcium; const double *calcium_wide;
    double threshold;             /* mV: where no beat ever starts by an event, one starts at an upstroke through it */
    int by_threshold;
    long *broken;                 /* (cells) the step after which V was no number, -1: none */
} up_cells_args;

/* Quantities of a beat, in the order of beats.py. Times in ms, -1: not yet. */
enum { UP_COUNT, UP_ONSET, UP_REST, UP_TOP, UP_LOW, UP_STEEP, UP_T_ACT, UP_T30, UP_T50, UP_T90, UP_EADS,
       UP_CA_REST, UP_CA_TOP, UP_T_CA_TOP, UP_T_CA50, UP_T_CA63, UP_T_CA90,
       UP_KEPT, UP_BEFORE = UP_KEPT, UP_EARLIER, UP_CA_BEFORE, UP_VALLEY, UP_RISING, UP_LOW_NEXT };

/* Early after-depolarisations: rises of V later than this after the upstroke, by more than this, before 90 % are back. */
#define UP_EAD_AFTER 100.0        /* ms */
#define UP_EAD_RISE 2.0           /* mV */

UP_INLINE real up_value(const real *narrow, const double *wide, long i) { return narrow ? narrow[i] : (real)wide[i]; }

UP_INLINE double up_moved(const up_channel *c, double x, double value)
{
    if (value != value) return x;
    return c->how == 0 ? x + value * c->scale : c->how == 1 ? x + (value - x) * c->scale : value;
}

/* The inputs of event e on cell i; after a step only what is held. */
UP_INLINE void up_act(const up_cells_args *c, long e, long i, int after)
{
    for (long k = 0; k < c->channels; k++) {
        const up_channel *channel = &c->channel[k];
        const double value = channel->values[e * c->trains + c->train[i]];
        if (after && channel->how != 2) continue;
        if (channel->narrow) channel->narrow[i] = (real)up_moved(channel, channel->narrow[i], value);
        else channel->wide[i] = up_moved(channel, channel->wide[i], value);
    }
}

/* A new beat of cell i begins at time t; the one that ran is kept. */
UP_INLINE void up_begin_beat(const up_cells_args *c, long i, double t, double rest, double V, double Ca)
{
    double *b = c->beat + i;
    const long s = c->stride, count = (long)b[UP_COUNT * s];
    if (count > 0) {
        double *old = c->beats + (count - 1) % c->kept * UP_KEPT * s + i;
        for (int k = 0; k < UP_KEPT; k++) old[k * s] = b[k * s];
    }
    b[UP_COUNT * s] = (double)(count + 1);
    b[UP_ONSET * s] = t;
    b[UP_REST * s] = rest;
    b[UP_TOP * s] = b[UP_LOW * s] = b[UP_VALLEY * s] = b[UP_LOW_NEXT * s] = V;
    b[UP_STEEP * s] = b[UP_RISING * s] = b[UP_EADS * s] = 0;
    b[UP_T_ACT * s] = b[UP_T30 * s] = b[UP_T50 * s] = b[UP_T90 * s] = -1;
    b[UP_CA_REST * s] = b[UP_CA_TOP * s] = Ca;
    b[UP_T_CA_TOP * s] = b[UP_T_CA50 * s] = b[UP_T_CA63 * s] = b[UP_T_CA90 * s] = -1;
}

/* When x came down through top - part (top - rest) in the step from t to t + dt; `seen` where it did not. */
UP_INLINE double up_down(double x, double before, double top, double rest, double part, double t, double dt, double seen)
{
    const double level = top - part * (top - rest), fall = before - x;
    const double at = t + dt * (before - level) / (fall > 0 ? fall : 1);
    return (before > level) & (x <= level) ? at : seen;
}

/* V of a cell after the step from t to t + dt; ``b`` are its quantities, ``s`` apart. No branches: it is vectorised. */
UP_INLINE void up_look(double *b, long s, double V, double t, double dt)
{
    const double before = b[UP_BEFORE * s], rest = b[UP_REST * s], t90 = b[UP_T90 * s], highest = b[UP_TOP * s];
    const double steepest = b[UP_STEEP * s], acted = b[UP_T_ACT * s], low = b[UP_LOW * s], next = b[UP_LOW_NEXT * s];
    const double seen30 = b[UP_T30 * s], seen50 = b[UP_T50 * s], rate = (V - before) / dt;
    const int open = (t90 < 0) & (b[UP_COUNT * s] > 0);
    const int higher = open & (V > highest), falls = open & (V <= highest), steeper = open & (rate > steepest);
    const double top = higher ? V : highest, t_act = steeper ? t + dt : acted;
    const double t30 = up_down(V, before, top, rest, 0.3, t, dt, seen30);
    const double t50 = up_down(V, before, top, rest, 0.5, t, dt, seen50);
    const double ends = up_down(V, before, top, rest, 0.9, t, dt, t90);
    b[UP_EARLIER * s] = before;
    b[UP_BEFORE * s] = V;
    b[UP_TOP * s] = top;
    b[UP_STEEP * s] = steeper ? rate : steepest;
    b[UP_T_ACT * s] = t_act;
    b[UP_T30 * s] = higher ? -1.0 : falls ? t30 : seen30;
    b[UP_T50 * s] = higher ? -1.0 : falls ? t50 : seen50;
    b[UP_T90 * s] = falls ? ends : t90;
    b[UP_LOW * s] = V < low ? V : low;
    b[UP_LOW_NEXT * s] = (V < next) | higher ? V : next;

    const double valley = b[UP_VALLEY * s], rising = b[UP_RISING * s], eads = b[UP_EADS * s];
    const int late = falls & (t - t_act > UP_EAD_AFTER), turns = late & (rising == 0) & (V - valley > UP_EAD_RISE);
    const int fallen = (rising > 0) & (V < before);
    b[UP_EADS * s] = turns ? eads + 1.0 : eads;
    b[UP_RISING * s] = turns ? 1.0 : fallen ? 0.0 : rising;
    b[UP_VALLEY * s] = late & !fallen & (V >= valley) ? valley : V;
}

/* Its calcium likewise. */
UP_INLINE void up_look_calcium(double *b, long s, double Ca, double t, double dt)
{
    const double before = b[UP_CA_BEFORE * s], lowest = b[UP_CA_REST * s], highest = b[UP_CA_TOP * s];
    const double t90 = b[UP_T_CA90 * s], seen = b[UP_T_CA_TOP * s], seen50 = b[UP_T_CA50 * s], seen63 = b[UP_T_CA63 * s];
    const int open = (t90 < 0) & (b[UP_COUNT * s] > 0);
    const int flat = open & (highest <= lowest);                  /* not risen yet: it may fall further */
    const double rest = flat & (Ca < lowest) ? Ca : lowest, was = flat ? rest : highest;
    const int higher = open & (Ca > was), falls = open & !flat & (Ca <= was);
    const double top = higher ? Ca : was;
    const double t50 = up_down(Ca, before, top, rest, 0.5, t, dt, seen50);
    const double t63 = up_down(Ca, before, top, rest, 0.63212055882855768, t, dt, seen63);
    const double ends = up_down(Ca, before, top, rest, 0.9, t, dt, t90);
    b[UP_CA_BEFORE * s] = Ca;
    b[UP_CA_REST * s] = rest;
    b[UP_CA_TOP * s] = top;
    b[UP_T_CA_TOP * s] = higher ? t + dt : seen;
    b[UP_T_CA50 * s] = higher ? -1.0 : falls ? t50 : seen50;
    b[UP_T_CA63 * s] = higher ? -1.0 : falls ? t63 : seen63;
    b[UP_T_CA90 * s] = falls ? ends : t90;
}

/* A beat of cell i that starts at the step at time t, if one does: by an event, or because V has just come up. */
UP_INLINE void up_start(const up_cells_args *c, long e, int at_event, long i, double t, double dt)
{
    const double V = c->a.V[i], before = c->beat[UP_EARLIER * c->stride + i];
    const double Ca = c->calcium || c->calcium_wide ? (double)up_value(c->calcium, c->calcium_wide, i) : 0;
    if (at_event && c->starts[e * c->trains + c->train[i]]) {
        up_begin_beat(c, i, t, V, V, Ca);
    } else if (c->by_threshold && before < c->threshold && V >= c->threshold) {
        const double *b = c->beat + i;
        if (b[UP_COUNT * c->stride] == 0 || b[UP_T90 * c->stride] >= 0) {
            up_begin_beat(c, i, t - dt * (V - c->threshold) / (V - before), b[UP_LOW_NEXT * c->stride], V, Ca);
            c->beat[UP_STEEP * c->stride + i] = (V - before) / dt;
            c->beat[UP_T_ACT * c->stride + i] = t;
        }
    }
}

UP_INLINE void up_take(const up_cells_args *c, long n, long i)
{
    const long sample = n / c->every - (c->first + c->every - 1) / c->every;
    for (long r = 0; r < c->rows; r++)
        c->sample[(sample * c->rows + r) * c->sampled + i] =
            c->taken[r].narrow ? (double)c->taken[r].narrow[i] : c->taken[r].wide[i];
}

/* The last step before something other than the membrane acts or looks, from n on. */
UP_INLINE long up_until(const up_cells_args *c, long e, long n)
{
    long until = c->first + c->steps;
    if (c->beat || !c->quiet[e]) return n + 1;
    if (e + 1 < c->events && c->event[e + 1] < until) until = c->event[e + 1];
    if (c->every && (n / c->every + 1) * c->every < until) until = (n / c->every + 1) * c->every;
    return until;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_cells(up_cells_args c, long up_n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= up_n) return;
    upstroke_args a = c.a;
    long e = 0;
    a.step_dt = 0;
    for (long n = c.first; n < c.first + c.steps;) {
        const double t = n * a.dt;
        while (e + 1 < c.events && c.event[e + 1] <= n) e++;
        if (c.beat) up_start(&c, e, c.event[e] == n, i, t, a.dt);
        if (c.every && n % c.every == 0 && i < c.sampled) up_take(&c, n, i);
        if (!c.quiet[e]) up_act(&c, e, i, 0);
        const long until = up_until(&c, e, n);
        a.t = t;
        a.steps = until - n;
        up_advance(&a, nullptr, i, clock, false, 0, a.V);
        if (!c.quiet[e]) up_act(&c, e, i, 1);
        if (c.beat) {
            up_look(c.beat + i, c.stride, a.V[i], t, a.dt);
            if (c.calcium || c.calcium_wide)
                up_look_calcium(c.beat + i, c.stride, up_value(c.calcium, c.calcium_wide, i), t, a.dt);
        }
        if (c.broken[i] < 0 && up_nonfinite(a.V[i])) c.broken[i] = until;
        n = until;
    }
}
#else
#define UP_GROUP (8 * UP_LANES)   /* cells that take all their steps before the next ones do: they stay in cache */

static void up_look_all(const up_cells_args *c, long first, long last, double t, double dt)
{
    double *const beat = c->beat;
    const long s = c->stride;
    const real *const V = c->a.V, *const calcium = c->calcium;
    const double *const wide = c->calcium_wide;
    UP_PRAGMA_SIMD
    for (long i = first; i < last; i++) up_look(beat + i, s, (double)V[i], t, dt);
    if (calcium) {
        UP_PRAGMA_SIMD
        for (long i = first; i < last; i++) up_look_calcium(beat + i, s, (double)calcium[i], t, dt);
    } else if (wide) {
        UP_PRAGMA_SIMD
        for (long i = first; i < last; i++) up_look_calcium(beat + i, s, wide[i], t, dt);
    }
}

UP_EXPORT long upstroke_cells(long begin, long end, const up_cells_args *c)
{
    for (long first = begin; first < end; first += UP_GROUP) {
        const long last = end - first < UP_GROUP ? end : first + UP_GROUP;
        upstroke_args a = c->a;
        long e = 0;
        for (long n = c->first; n < c->first + c->steps;) {
            const double t = (double)n * a.dt;
            while (e + 1 < c->events && c->event[e + 1] <= n) e++;
            const int at_event = c->event[e] == n, acts = !c->quiet[e];
            if (c->beat && (at_event || c->by_threshold))
                for (long i = first; i < last; i++) up_start(c, e, at_event, i, t, a.dt);
            if (c->every && n % c->every == 0)
                for (long i = first; i < last && i < c->sampled; i++) up_take(c, n, i);
            if (acts)
                for (long i = first; i < last; i++) up_act(c, e, i, 0);
            const long until = up_until(c, e, n);
            a.t = t;
            a.steps = until - n;
            const long status = upstroke_advance(first, last, &a);
            if (acts)
                for (long i = first; i < last; i++) up_act(c, e, i, 1);
            if (c->beat) up_look_all(c, first, last, t, a.dt);
            if (status & 1)
                for (long i = first; i < last; i++)
                    if (c->broken[i] < 0 && up_nonfinite(a.V[i])) c->broken[i] = until;
            n = until;
        }
    }
    return 0;
}
#endif
