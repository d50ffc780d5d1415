"""The frames around a body: a complete translation unit for C and for CUDA.

What differs between the two is here and in ``prologue/``: how a node is found, where the loops stand, how the status
comes back. The body's text is the same.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from upstroke.codegen.body import Layout, Text

_PROLOGUE = Path(__file__).parent / "prologue"

_ARGS = """\
typedef struct {
    real *V; real *S; double *W;      /* mV; S[k*stride + node]: states not in W, in order; W likewise */
    real *Iion;                       /* out, uA/cm^2, of the last step, at its start */
    const real *Istim;                /* uA/cm^2 per node, depolarising positive */
    const real *P; const real *N;     /* parameters: uniform P[k], per node N[k*stride + node] */
    long stride; double t, dt; long steps; double C_m;   /* ms, ms, steps of size dt, uF/cm^2 */
} upstroke_args;
"""

_OPEN = """\
real *{restrict} up_V = up_a->V, *{restrict} up_S = up_a->S, *{restrict} up_Iion = up_a->Iion;
double *{restrict} up_W = up_a->W;
const real *{restrict} up_Istim = up_a->Istim, *{restrict} up_P = up_a->P, *{restrict} up_N = up_a->N;
const long up_stride = up_a->stride;
const real v_dt = (real)up_a->dt, up_Cm = (real)up_a->C_m;
(void)up_S; (void)up_W; (void)up_Iion; (void)up_P; (void)up_N; (void)up_stride; (void)v_dt;
"""


def prologue(target: str, precision: str) -> str:
    """Types and functions that a body uses."""
    read = {name: (_PROLOGUE / f"{name}.h").read_text() for name in ("c", "c_math", "c_libm", "cuda", "common")}
    head = f"#define UP_FP64 {int(precision == 'fp64')}\n"
    if target == "cuda":
        return head + read["cuda"] + read["common"]
    return f"{head}{read['c']}\n#ifdef UPSTROKE_LIBM\n{read['c_libm']}#else\n{read['c_math']}#endif\n\n{read['common']}"


def c_unit(title: str, precision: str, layout: Layout, advance: Text, rates: Text) -> str:
    """Vector loop over nodes inside the loop over steps; a rest of nodes is padded to a full vector."""
    opening = _OPEN.format(restrict="restrict")
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
{_lines((*advance.load, *advance.step, *advance.store), 12)}
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
"""


def cuda_unit(title: str, precision: str, layout: Layout, advance: Text, rates: Text) -> str:
    """One thread per node; the loop over steps keeps the state in registers."""
    opening = _OPEN.format(restrict="__restrict__")
    node = """\
const long up_i = (long)blockIdx.x * blockDim.x + threadIdx.x;
if (up_i >= up_n) return;
const upstroke_args *up_a = &up_args;
"""
    return f"""\
{title}
{prologue("cuda", precision)}
{_ARGS}
extern "C" __global__ void upstroke_advance(upstroke_args up_args, long up_n, int *up_status)
{{
{_block(node + opening, advance.constants)}
    up_bits up_bad = 0, up_clamped = 0;
{_lines(advance.load, 4)}
    for (long up_k = 0; up_k < up_a->steps; up_k++) {{
        const real v_t = (real)up_time(up_a->t, up_k, up_a->dt);
        (void)v_t;
{_lines(advance.step, 8)}
    }}
    if (up_a->steps < 1) return;
{_lines(advance.store, 4)}
    if (up_bad | up_clamped) atomicOr(up_status, (up_bad ? 1 : 0) | (up_clamped ? 2 : 0));
}}

extern "C" __global__ void upstroke_rates(upstroke_args up_args, long up_n, real *up_dV, real *up_dS, double *up_dW)
{{
{_block(node + opening, rates.constants)}
    const real v_t = (real)up_a->t;
    (void)v_t; (void)up_dS; (void)up_dW;
{_lines((*rates.load, *rates.step), 4)}
}}
"""


def _lines(statements: tuple[str, ...], width: int) -> str:
    return indent("\n".join(statements), " " * width)


def _block(opening: str, constants: tuple[str, ...]) -> str:
    return indent(opening + "\n".join(constants), "    ")
