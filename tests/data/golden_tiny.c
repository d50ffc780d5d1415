typedef struct {
    real *V; real *S; double *W;      /* mV; S[k*stride + node]: states not in W, in order; W likewise */
    real *Iion;                       /* out, uA/cm^2, of the last step, at its start */
    const real *Istim;                /* uA/cm^2 per node, depolarising positive */
    const real *P; const real *N;     /* parameters: uniform P[k] (C only), per node N[k*stride + node] */
    long stride; double t, dt; long steps; double C_m;   /* ms, ms, steps of size dt, uF/cm^2 */
    double step_dt;                   /* ms: CUDA starts at t + clock->step step_dt; C starts at t and does not look */
} upstroke_args;

enum { UP_S = 2, UP_W = 0, UP_N = 1 };   /* rows */

/* All steps of the nodes [up_begin, up_end), whose number is a multiple of UP_LANES. */
static long up_advance(long up_begin, long up_end, const upstroke_args *up_a)
{
    real *restrict up_V = up_a->V, *restrict up_S = up_a->S, *restrict up_Iion = up_a->Iion;
    double *restrict up_W = up_a->W;
    const real *restrict up_Istim = up_a->Istim, *restrict up_P = up_a->P, *restrict up_N = up_a->N;
    const long up_stride = up_a->stride;
    const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
    (void)up_V; (void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
    const real v_g = up_P[0];   /* mS/cm^2 */
    up_bits up_bad = 0, up_clamped = 0;
    for (long up_k = 0; up_k < up_a->steps; up_k++) {
        const real v_t = (real)up_time(up_a->t, up_k, up_a->dt);
        (void)v_t;
        UP_VECTORISE
        for (long up_i = up_begin; up_i < up_end; up_i++) {
            const real v_k = up_N[0 * up_stride + up_i];   /* mV */
            real v_V = up_V[up_i];   /* mV */
            const real up_stimulus = up_Istim[up_i];   /* uA/cm^2 */
            real up_I = 0;
            real v_m = up_S[0 * up_stride + up_i];
            real v_c = up_S[1 * up_stride + up_i];   /* mM */
            const real v_scale = v_g * 2.0;
            /* stage 0: t */
            const real v_m_inf = up_div(1.0, 1.0 + up_exp(-up_div(v_V, v_k)));
            up_I = v_scale * v_m * (v_V - v_c);   /* uA/cm^2 */
            const real r_V = up_div(up_stimulus - up_I, up_Cm);   /* mV/ms */
            const real inf_m = v_m_inf;
            const real slope_m = -0.2;
            const real r_c = 0.01 * (v_m - v_c);
            /* stage 1: t + 0.5 dt */
            const real v1_V = v_V + 0.5 * v_dt * r_V;
            const real v1_m = inf_m + (v_m - inf_m) * up_exp(0.5 * v_dt * slope_m);
            const real v1_c = v_c + 0.5 * v_dt * r_c;
            const real up_I1 = v_scale * v1_m * (v1_V - v1_c);   /* uA/cm^2 */
            const real r1_V = up_div(up_stimulus - up_I1, up_Cm);   /* mV/ms */
            const real r1_c = 0.01 * (v1_m - v1_c);
            /* new values */
            v_V = v_V + v_dt * r1_V;
            v_m = inf_m + (v_m - inf_m) * up_exp(v_dt * slope_m);
            v_c = v_c + v_dt * r1_c;
            up_bad |= up_nonfinite(v_V + v_m + v_c);
            up_clamped |= v_c < 0.0;
            v_c = v_c < 0.0 ? 0.0 : v_c;
            up_clamped |= v_c > 1.0;
            v_c = v_c > 1.0 ? 1.0 : v_c;
            up_V[up_i] = v_V;
            up_S[0 * up_stride + up_i] = v_m;
            up_S[1 * up_stride + up_i] = v_c;
            up_Iion[up_i] = up_I;
        }
    }
    return (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
}

#define UP_GATHER(to, from, rows) \
    for (long k = 0; k < rows; k++) \
        for (long i = 0; i < UP_LANES; i++) to[k * UP_LANES + i] = from[k * a->stride + (i < n ? begin + i : end - 1)]
#define UP_SCATTER(to, from, rows) \
    for (long k = 0; k < rows; k++) \
        for (long i = 0; i < n; i++) to[k * a->stride + begin + i] = from[k * UP_LANES + i]

/* Fewer nodes than a vector has lanes: the last one fills the lanes that are left. */
static long up_advance_few(long begin, long end, const upstroke_args *a)
{
    real V[UP_LANES], Iion[UP_LANES], Istim[UP_LANES], S[(UP_S + 1) * UP_LANES], N[(UP_N + 1) * UP_LANES];
    double W[(UP_W + 1) * UP_LANES];
    const long n = end - begin;
    upstroke_args few = *a;
    few.V = V, few.S = S, few.W = W, few.Iion = Iion, few.Istim = Istim, few.N = N, few.stride = UP_LANES;
    UP_GATHER(V, a->V, 1);
    UP_GATHER(Istim, a->Istim, 1);
    UP_GATHER(S, a->S, UP_S);
    UP_GATHER(W, a->W, UP_W);
    UP_GATHER(N, a->N, UP_N);
    const long status = up_advance(0, UP_LANES, &few);
    UP_SCATTER(a->V, V, 1);
    UP_SCATTER(a->S, S, UP_S);
    UP_SCATTER(a->W, W, UP_W);
    if (a->steps > 0) { UP_SCATTER(a->Iion, Iion, 1); }
    return status;
}

UP_EXPORT long upstroke_advance(long begin, long end, const upstroke_args *a)
{
    long status = 0;
    while (end - begin >= UP_LANES) {
        const long whole = (end - begin) / UP_LANES * UP_LANES, n = whole < UP_BLOCK ? whole : UP_BLOCK;
        status |= up_advance(begin, begin + n, a);
        begin += n;
    }
    return begin < end ? status | up_advance_few(begin, end, a) : status;
}

UP_EXPORT void upstroke_rates(long begin, long end, const upstroke_args *up_a, real *up_dV, real *up_dS, double *up_dW)
{
    real *restrict up_V = up_a->V, *restrict up_S = up_a->S, *restrict up_Iion = up_a->Iion;
    double *restrict up_W = up_a->W;
    const real *restrict up_Istim = up_a->Istim, *restrict up_P = up_a->P, *restrict up_N = up_a->N;
    const long up_stride = up_a->stride;
    const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
    (void)up_V; (void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
    const real v_g = up_P[0];   /* mS/cm^2 */
    const real v_t = (real)up_a->t;
    (void)v_t; (void)up_dS; (void)up_dW;
    UP_PRAGMA_SIMD
    for (long up_i = begin; up_i < end; up_i++) {
        const real v_k = up_N[0 * up_stride + up_i];   /* mV */
        real v_V = up_V[up_i];   /* mV */
        const real up_stimulus = up_Istim[up_i];   /* uA/cm^2 */
        real up_I = 0;
        real v_m = up_S[0 * up_stride + up_i];
        real v_c = up_S[1 * up_stride + up_i];   /* mM */
        const real v_scale = v_g * 2.0;
        const real v_m_inf = up_div(1.0, 1.0 + up_exp(-up_div(v_V, v_k)));
        up_I = v_scale * v_m * (v_V - v_c);   /* uA/cm^2 */
        up_dV[up_i] = up_div(up_stimulus - up_I, up_Cm);   /* mV/ms */
        up_dS[0 * up_stride + up_i] = (v_m_inf - v_m) * (1.0 / 5.0);
        up_dS[1 * up_stride + up_i] = 0.01 * (v_m - v_c);
    }
}

#ifdef UP_COUPLED
typedef struct { upstroke_args a; const up_couplings *couplings; real *V_next; } upstroke_coupled_args;

/* With diffusion, both from the state at the step's start: V_next = V after the reaction + what the couplings add (mV),
 * of which each of several steps adds its share. V is only read. Block by block: what one part has read is in cache for
 * the next. What stands in front of this source defines up_couplings and up_coupling_block. */
UP_EXPORT long upstroke_advance_coupled(long begin, long end, const upstroke_coupled_args *c)
{
    const real *restrict V = c->a.V;
    real *restrict V_next = c->V_next, share[UP_BLOCK];
    upstroke_args a = c->a;
    up_bits bad = 0;
    long status = 0;
    a.V = V_next, a.steps = 1;
    for (long first = begin; first < end; first += UP_BLOCK) {
        const long last = end - first < UP_BLOCK ? end : first + UP_BLOCK;
        up_coupling_block(c->couplings, first, last, V, share);
        for (long i = first; i < last; i++) {
            share[i - first] = share[i - first] / (real)c->a.steps;
            V_next[i] = V[i];
        }
        for (long k = 0; k < c->a.steps; k++) {
            a.t = up_time(c->a.t, k, a.dt);
            status |= upstroke_advance(first, last, &a);
            for (long i = first; i < last; i++) {
                V_next[i] = V_next[i] + share[i - first];
                bad |= up_nonfinite(V_next[i]);
            }
        }
    }
    return status | (bad ? 1 : 0);
}
#endif
