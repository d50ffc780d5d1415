"""The frames around a body: a complete translation unit for C and for CUDA.

What differs between the two is here and in ``prologue/``: how a node is found, where the loops stand, how the status
comes back. The body's text is the same.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from upstroke.codegen.body import Layout, Text
from upstroke.codegen.frozen import FollowText

_PROLOGUE = Path(__file__).parent / "prologue"

_ARGS = """\
typedef struct {
    real *V; real *S; double *W;      /* mV; S[k*stride + node]: states not in W, in order; W likewise */
    real *Iion;                       /* out, uA/cm^2, of the last step, at its start */
    const real *Istim;                /* uA/cm^2 per node, depolarising positive */
    const real *P; const real *N;     /* parameters: uniform P[k] (C only), per node N[k*stride + node] */
    long stride; double t, dt; long steps; double C_m;   /* ms, ms, steps of size dt, uF/cm^2 */
    double step_dt;                   /* ms: CUDA starts at t + clock->step step_dt; C starts at t and does not look */
} upstroke_args;
"""

_CLOCK = """\
#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;   /* in device memory; kernels OR into status */
#endif
"""

_OPEN = """\
real *{restrict} up_V = up_a->V, *{restrict} up_S = up_a->S, *{restrict} up_Iion = up_a->Iion;
double *{restrict} up_W = up_a->W;
const real *{restrict} up_Istim = up_a->Istim, *{restrict} up_P = {uniform}, *{restrict} up_N = up_a->N;
const long up_stride = up_a->stride;
const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
(void)up_V; (void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
"""


def prologue(target: str, precision: str) -> str:
    """Types and functions that a body uses."""
    read = {path.stem: path.read_text() for path in _PROLOGUE.glob("*.h")}
    head = f"#define UP_FP64 {int(precision == 'fp64')}\n\n{read['types']}\n{read[target]}\n"
    if target == "cuda":
        return "\n".join((head + read["cuda_div"], read["math"], read["common"]))
    return f"{head}#ifdef UPSTROKE_LIBM\n{read['c_libm']}#else\n{read['math']}#endif\n\n{read['common']}"


def c_unit(title: str, precision: str, layout: Layout, advance: Text, rates: Text) -> str:
    """Vector loop over nodes inside the loop over steps; a rest of nodes is padded to a full vector."""
    opening = _OPEN.format(restrict="restrict", uniform="up_a->P")
    return f"""\
{title}
{prologue("c", precision)}
{_ARGS}
enum {{ UP_S = {len(layout.narrow)}, UP_W = {len(layout.wide)}, UP_N = {len(layout.nodal)} }};   /* rows */

/* All steps of the nodes [up_begin, up_end), whose number is a multiple of UP_LANES. */
static long up_advance(long up_begin, long up_end, const upstroke_args *up_a)
{{
{_block(opening, advance.constants)}
    up_bits up_bad = 0, up_clamped = 0;
    for (long up_k = 0; up_k < up_a->steps; up_k++) {{
        const real v_t = (real)up_time(up_a->t, up_k, up_a->dt);
        (void)v_t;
        UP_VECTORISE
        for (long up_i = up_begin; up_i < up_end; up_i++) {{
{_lines((*advance.load, *advance.step, "up_V[up_i] = v_V;", *advance.store), 12)}
        }}
    }}
    return (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
}}

#define UP_GATHER(to, from, rows) \\
    for (long k = 0; k < rows; k++) \\
        for (long i = 0; i < UP_LANES; i++) to[k * UP_LANES + i] = from[k * a->stride + (i < n ? begin + i : end - 1)]
#define UP_SCATTER(to, from, rows) \\
    for (long k = 0; k < rows; k++) \\
        for (long i = 0; i < n; i++) to[k * a->stride + begin + i] = from[k * UP_LANES + i]

/* Fewer nodes than a vector has lanes: the last one fills the lanes that are left. */
static long up_advance_few(long begin, long end, const upstroke_args *a)
{{
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
    if (a->steps > 0) {{ UP_SCATTER(a->Iion, Iion, 1); }}
    return status;
}}

UP_EXPORT long upstroke_advance(long begin, long end, const upstroke_args *a)
{{
    long status = 0;
    while (end - begin >= UP_LANES) {{
        const long whole = (end - begin) / UP_LANES * UP_LANES, n = whole < UP_BLOCK ? whole : UP_BLOCK;
        status |= up_advance(begin, begin + n, a);
        begin += n;
    }}
    return begin < end ? status | up_advance_few(begin, end, a) : status;
}}

UP_EXPORT void upstroke_rates(long begin, long end, const upstroke_args *up_a, real *up_dV, real *up_dS, double *up_dW)
{{
{_block(opening, rates.constants)}
    const real v_t = (real)up_a->t;
    (void)v_t; (void)up_dS; (void)up_dW;
    UP_PRAGMA_SIMD
    for (long up_i = begin; up_i < end; up_i++) {{
{_lines((*rates.load, *rates.step), 8)}
    }}
}}

#ifdef UP_COUPLED
{_C_COUPLED}#endif
"""


def cuda_unit(title: str, precision: str, layout: Layout, advance: Text, rates: Text) -> str:
    """One thread per node; the loop over steps keeps the state in registers."""
    opening = _OPEN.format(restrict="__restrict__", uniform="up_uniform")
    count = len(layout.uniform)
    parameter, value = ("upstroke_uniform up_p, ", "up_p.value") if count else ("", "nullptr")
    uniform = f"typedef struct {{ real value[{count}]; }} upstroke_uniform;   /* by value: the constant bank */\n"
    node = """\
    const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (up_i >= up_n) return;
"""
    return f"""\
{title}
{prologue("cuda", precision)}
{_ARGS}{uniform if count else ""}
{_CLOCK}
/* All steps of one node, its state in registers. Each adds its share of the increment (mV), where there is one. */
UP_INLINE void up_advance(const upstroke_args *up_a, const real *up_uniform, long up_i, upstroke_clock *up_clock,
                          bool up_coupled, real up_increment, real *up_V_next)
{{
{_block(opening, advance.constants)}
    const double up_start = up_time(up_a->t, up_clock->step, up_a->step_dt);
    const real up_share = up_div(up_increment, (real)up_a->steps);
    up_bits up_bad = 0, up_clamped = 0;
{_lines(advance.load, 4)}
    for (long up_k = 0; up_k < up_a->steps; up_k++) {{
        const real v_t = (real)up_time(up_start, up_k, up_a->dt);
        (void)v_t;
{_lines(advance.step, 8)}
        if (up_coupled) {{
            v_V = v_V + up_share;
            up_bad |= up_nonfinite(v_V);
        }}
    }}
    if (up_a->steps < 1) return;
    up_V_next[up_i] = v_V;
{_lines(advance.store, 4)}
    const int up_found = (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
    if (up_found & ~up_clock->status) atomicOr(&up_clock->status, up_found);   /* news only: bounds hold for long */
}}

extern "C" __global__ void __launch_bounds__(128)
upstroke_advance(upstroke_args up_a, {parameter}long up_n, upstroke_clock *up_clock)
{{
    if (up_clock->halted) return;
{node}    up_advance(&up_a, {value}, up_i, up_clock, false, 0, up_a.V);
}}

extern "C" __global__ void __launch_bounds__(128)
upstroke_rates(upstroke_args up_args, {parameter}long up_n, real *up_dV, real *up_dS, double *up_dW)
{{
{node}    const upstroke_args *up_a = &up_args;
    const real *up_uniform = {value};
{_block(opening, rates.constants)}
    const real v_t = (real)up_a->t;
    (void)v_t; (void)up_dS; (void)up_dW;
{_lines((*rates.load, *rates.step), 4)}
}}

#ifdef UP_COUPLED
/* With diffusion, both from the state at the step's start: V_next = V after the reaction + up_coupling (mV). V is only
 * read. What stands in front of this source defines up_couplings and up_coupling. */
extern "C" __global__ void __launch_bounds__(128)
upstroke_advance_coupled(upstroke_args up_a, {parameter}up_couplings up_c, real *up_V_next, long up_n,
                         upstroke_clock *up_clock)
{{
    if (up_clock->halted) return;
{node}    up_advance(&up_a, {value}, up_i, up_clock, true, up_coupling(&up_c, up_i, up_a.V), up_V_next);
}}
#endif
"""


_C_COUPLED = """\
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
"""


_FOLLOW_ARGS = """\
typedef struct {
    upstroke_args a;
    real *G;                          /* out, mS/cm^2, dIion/dV at fixed states */
} upstroke_follow_args;
"""

# A membrane so excitable that the linearised step of V, over which C_m/dt + theta dIion/dV must stay positive, would
# lose its meaning: as beyond the threshold of an exponential integrate-and-fire cell. The slope ends where the matrix
# is safe, and V leaves upwards, by Euler's step or more.
_LEAST = """\
const real up_least = (real)(-0.5 * up_a->C_m / up_a->step_dt);   /* mS/cm^2 */
"""


def c_follow(text: FollowText) -> str:
    """What follows an implicit step of V, upon a ``c_unit``: steps of the states with V as it is, then the current."""
    opening = _OPEN.format(restrict="restrict", uniform="up_a->P") + _LEAST
    return f"""
{_FOLLOW_ARGS}
/* All steps of the states of the nodes [up_begin, up_end), a multiple of UP_LANES in number; then Iion and G. */
static long up_follow(long up_begin, long up_end, const upstroke_args *up_a, real *restrict up_G)
{{
{_block(opening, text.constants)}
    up_bits up_bad = 0, up_clamped = 0;
    for (long up_k = 0; up_k < up_a->steps; up_k++) {{
        const real v_t = (real)up_time(up_a->t, up_k, up_a->dt);
        (void)v_t;
        UP_VECTORISE
        for (long up_i = up_begin; up_i < up_end; up_i++) {{
{_lines((*text.load, *text.step, *text.store), 12)}
        }}
    }}
    const real v_t = (real)up_time(up_a->t, up_a->steps, up_a->dt);
    (void)v_t;
    UP_PRAGMA_SIMD
    for (long up_i = up_begin; up_i < up_end; up_i++) {{
{_lines((*text.load, *text.current), 8)}
    }}
    return (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
}}

/* Fewer nodes than a vector has lanes: the last one fills the lanes that are left. */
static long up_follow_few(long begin, long end, const upstroke_args *a, real *G_out)
{{
    real V[UP_LANES], Iion[UP_LANES], Istim[UP_LANES], G[UP_LANES], S[(UP_S + 1) * UP_LANES], N[(UP_N + 1) * UP_LANES];
    double W[(UP_W + 1) * UP_LANES];
    const long n = end - begin;
    upstroke_args few = *a;
    few.V = V, few.S = S, few.W = W, few.Iion = Iion, few.Istim = Istim, few.N = N, few.stride = UP_LANES;
    UP_GATHER(V, a->V, 1);
    UP_GATHER(Istim, a->Istim, 1);
    UP_GATHER(S, a->S, UP_S);
    UP_GATHER(W, a->W, UP_W);
    UP_GATHER(N, a->N, UP_N);
    const long status = up_follow(0, UP_LANES, &few, G);
    UP_SCATTER(a->V, V, 1);
    UP_SCATTER(a->S, S, UP_S);
    UP_SCATTER(a->W, W, UP_W);
    UP_SCATTER(a->Iion, Iion, 1);
    UP_SCATTER(G_out, G, 1);
    return status;
}}

UP_EXPORT long upstroke_follow(long begin, long end, const upstroke_follow_args *f)
{{
    long status = 0;
    while (end - begin >= UP_LANES) {{
        const long whole = (end - begin) / UP_LANES * UP_LANES, n = whole < UP_BLOCK ? whole : UP_BLOCK;
        status |= up_follow(begin, begin + n, &f->a, f->G);
        begin += n;
    }}
    return begin < end ? status | up_follow_few(begin, end, &f->a, f->G) : status;
}}
"""


def cuda_follow(layout: Layout, text: FollowText) -> str:
    """The same upon a ``cuda_unit``. A solve that broke V (status 4) leaves the states as they are, as on a CPU."""
    opening = _OPEN.format(restrict="__restrict__", uniform="up_uniform") + _LEAST
    parameter, value = ("upstroke_uniform up_p, ", "up_p.value") if layout.uniform else ("", "nullptr")
    return f"""
{_FOLLOW_ARGS}
extern "C" __global__ void __launch_bounds__(128)
upstroke_follow(upstroke_follow_args up_args, {parameter}long up_n, upstroke_clock *up_clock)
{{
    if (up_clock->halted || up_clock->status & 4) return;
    const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (up_i >= up_n) return;
    const upstroke_args *up_a = &up_args.a;
    const real *up_uniform = {value};
    real *__restrict__ up_G = up_args.G;
    (void)up_uniform;
{_block(opening, text.constants)}
    const double up_start = up_time(up_a->t, up_clock->step, up_a->step_dt);
    up_bits up_bad = 0, up_clamped = 0;
{_steps_with_resets(text) if text.resets else _steps(text)}
    const int up_found = (up_bad ? 1 : 0) | (up_clamped ? 2 : 0);
    if (up_found & ~up_clock->status) atomicOr(&up_clock->status, up_found);
}}
"""


_STEP = """\
for (long up_k = 0; up_k < up_a->steps; up_k++) {
    const real v_t = (real)up_time(up_start, up_k, up_a->dt);
    (void)v_t;"""
_END = """\
    const real v_t = (real)up_time(up_start, up_a->steps, up_a->dt);
    (void)v_t;"""


def _steps(text: FollowText) -> str:
    """All steps with the node in registers, then the current."""
    return "\n".join((_lines(text.load, 4), indent(_STEP, "    "), _lines(text.step, 8), "    }",
                      _lines(text.store, 4), _END, _lines(text.current, 4)))


def _steps_with_resets(text: FollowText) -> str:
    """The same where V may be another after each step, and so all that depends on it."""
    return "\n".join((indent(_STEP, "    "), _lines((*text.load, *text.step, *text.store), 8), "    }",
                      _END, _lines((*text.load, *text.current), 4)))


def _lines(statements: tuple[str, ...], width: int) -> str:
    return indent("\n".join(statements), " " * width)


def _block(opening: str, constants: tuple[str, ...]) -> str:
    return indent(opening + "\n".join(constants), "    ")
