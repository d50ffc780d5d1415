typedef struct {
    real *V; real *S; double *W;      /* mV; S[k*stride + node]: states not in W, in order; W likewise */
    real *Iion;                       /* out, uA/cm^2, of the last step, at its start */
    const real *Istim;                /* uA/cm^2 per node, depolarising positive */
    const real *P; const real *N;     /* parameters: uniform P[k] (C only), per node N[k*stride + node] */
    long stride; double t, dt; long steps; double C_m;   /* ms, ms, steps of size dt, uF/cm^2 */
    double step_dt;                   /* ms: CUDA starts at t + clock->step step_dt; C starts at t and does not look */
} upstroke_args;
typedef struct { real value[1]; } upstroke_uniform;   /* by value: the constant bank */

#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;   /* in device memory; kernels OR into status */
#endif

/* All steps of one node, its state in registers. Each adds its share of the increment (mV), where there is one. */
UP_INLINE void up_advance(const upstroke_args *up_a, const real *up_uniform, long up_i, upstroke_clock *up_clock,
                          bool up_coupled, real up_increment, real *up_V_next)
{
    real *__restrict__ up_V = up_a->V, *__restrict__ up_S = up_a->S, *__restrict__ up_Iion = up_a->Iion;
    double *__restrict__ up_W = up_a->W;
    const real *__restrict__ up_Istim = up_a->Istim, *__restrict__ up_P = up_uniform, *__restrict__ up_N = up_a->N;
    const long up_stride = up_a->stride;
    const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
    (void)up_V; (void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
    const real v_g = up_P[0];   /* mS/cm^2 */
    const double up_start = up_time(up_a->t, up_clock->step, up_a->step_dt);
    const real up_share = up_div(up_increment, (real)up_a->steps);
    up_bits up_bad = 0, up_clamped = 0;
    const real v_k = up_N[0 * up_stride + up_i];   /* mV */
    real v_V = up_V[up_i];   /* mV */
    const real up_stimulus = up_Istim[up_i];   /* uA/cm^2 */
    real up_I = 0;
    real v_m = up_S[0 * up_stride + up_i];
    double w_c = up_W[0 * up_stride + up_i];   /* mM */
    real v_c = (real)w_c;
    const real v_scale = v_g * 2.0f;
    for (long up_k = 0; up_k < up_a->steps; up_k++) {
        const real v_t = (real)up_time(up_start, up_k, up_a->dt);
        (void)v_t;
        /* stage 0: t */
        const real v_m_inf = up_div(1.0f, 1.0f + up_exp(-up_div(v_V, v_k)));
        up_I = v_scale * v_m * (v_V - v_c);   /* uA/cm^2 */
        const real r_V = up_div(up_stimulus - up_I, up_Cm);   /* mV/ms */
        const real inf_m = v_m_inf;
        const real slope_m = -0.2f;
        const real r_c = 0.01f * (v_m - v_c);
        /* stage 1: t + 0.5 dt */
        const real v1_V = v_V + 0.5f * v_dt * r_V;
        const real v1_m = inf_m + (v_m - inf_m) * up_exp(0.5f * v_dt * slope_m);
        const real v1_c = v_c + 0.5f * v_dt * r_c;
        const real up_I1 = v_scale * v1_m * (v1_V - v1_c);   /* uA/cm^2 */
        const real r1_V = up_div(up_stimulus - up_I1, up_Cm);   /* mV/ms */
        const real r1_c = 0.01f * (v1_m - v1_c);
        /* new values */
        v_V = v_V + v_dt * r1_V;
        v_m = inf_m + (v_m - inf_m) * up_exp(v_dt * slope_m);
        w_c += (double)(v_dt * r1_c);
        v_c = (real)w_c;
        up_bad |= up_nonfinite(v_V + v_m + v_c);
        up_clamped |= w_c < 0.0;
        w_c = w_c < 0.0 ? 0.0 : w_c;
        up_clamped |= w_c > 1.0;
        w_c = w_c > 1.0 ? 1.0 : w_c;
        v_c = (real)w_c;
        if (up_coupled) {
            v_V = v_V + up_share;
            up_bad |= up_nonfinite(v_V);
        }
    }
    if (up_a->steps < 1) return;
    up_V_next[up_i] = v_V;
    up_S[0 * up_stride + up_i] = v_m;
    up_W[0 * up_stride + up_i] = w_c;
    up_Iion[up_i] = up_I;
    const int up_found = (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
    if (up_found & ~up_clock->status) atomicOr(&up_clock->status, up_found);   /* news only: bounds hold for long */
}

extern "C" __global__ void __launch_bounds__(128)
upstroke_advance(upstroke_args up_a, upstroke_uniform up_p, long up_n, upstroke_clock *up_clock)
{
    if (up_clock->halted) return;
    const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (up_i >= up_n) return;
    up_advance(&up_a, up_p.value, up_i, up_clock, false, 0, up_a.V);
}

extern "C" __global__ void __launch_bounds__(128)
upstroke_rates(upstroke_args up_args, upstroke_uniform up_p, long up_n, real *up_dV, real *up_dS, double *up_dW)
{
    const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (up_i >= up_n) return;
    const upstroke_args *up_a = &up_args;
    const real *up_uniform = up_p.value;
    real *__restrict__ up_V = up_a->V, *__restrict__ up_S = up_a->S, *__restrict__ up_Iion = up_a->Iion;
    double *__restrict__ up_W = up_a->W;
    const real *__restrict__ up_Istim = up_a->Istim, *__restrict__ up_P = up_uniform, *__restrict__ up_N = up_a->N;
    const long up_stride = up_a->stride;
    const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
    (void)up_V; (void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
    const real v_g = up_P[0];   /* mS/cm^2 */
    const real v_t = (real)up_a->t;
    (void)v_t; (void)up_dS; (void)up_dW;
    const real v_k = up_N[0 * up_stride + up_i];   /* mV */
    real v_V = up_V[up_i];   /* mV */
    const real up_stimulus = up_Istim[up_i];   /* uA/cm^2 */
    real up_I = 0;
    real v_m = up_S[0 * up_stride + up_i];
    double w_c = up_W[0 * up_stride + up_i];   /* mM */
    real v_c = (real)w_c;
    const real v_scale = v_g * 2.0f;
    const real v_m_inf = up_div(1.0f, 1.0f + up_exp(-up_div(v_V, v_k)));
    up_I = v_scale * v_m * (v_V - v_c);   /* uA/cm^2 */
    up_dV[up_i] = up_div(up_stimulus - up_I, up_Cm);   /* mV/ms */
    up_dS[0 * up_stride + up_i] = (v_m_inf - v_m) * (1.0f / 5.0f);
    up_dW[0 * up_stride + up_i] = 0.01f * (v_m - v_c);
}

#ifdef UP_COUPLED
/* With diffusion, both from the state at the step's start: V_next = V after the reaction + up_coupling (mV). V is only
 * read. What stands in front of this source defines up_couplings and up_coupling. */
extern "C" __global__ void __launch_bounds__(128)
upstroke_advance_coupled(upstroke_args up_a, upstroke_uniform up_p, up_couplings up_c, real *up_V_next, long up_n,
                         upstroke_clock *up_clock)
{
    if (up_clock->halted) return;
    const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (up_i >= up_n) return;
    up_advance(&up_a, up_p.value, up_i, up_clock, true, up_coupling(&up_c, up_i, up_a.V), up_V_next);
}
#endif
