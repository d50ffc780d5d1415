/* CUDA C++ on a processor, for tests. Put in front of a CUDA text, it makes the text a C++17 translation unit that needs
   no C++ library, only libc.

   Threads run one at a time. A thread runs on a fiber: a stack of its own and a jmp_buf. Most threads never wait, so
   one fiber simply takes one thread after the other; a thread that waits keeps its fiber, and the scheduler takes
   another for the rest. Blocks run one after the other too, unless all threads of a block wait for other blocks
   (__nanosleep): then the next block starts, up to as many as would be resident on the device. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define EMU_OUT_OF_LINE __attribute__((noinline))

namespace emu {

struct Index { unsigned x = 1, y = 1, z = 1; };

enum State : unsigned char { NOT_BEGUN, READY, AT_BLOCK, AT_WARP, ASLEEP, LEFT };

struct Fiber {
    jmp_buf at;            /* where to go on */
    ucontext_t start;      /* where to begin, while fresh */
    char *stack;
    bool fresh;
    Fiber *next;           /* in the list of idle ones */
};

struct Thread {
    Fiber *fiber;
    Index index;
    State state;
    int line;              /* of the text, where it waits */
    unsigned mask;         /* of the lanes it waits for */
    int source;            /* lane whose value it wants; -1: a bit for every lane with a value */
    uint64_t in, out;
};

constexpr int MOST = 1024, WARP = 32;
constexpr size_t STACK = 128 << 10, SHARED = 256 << 10, STACKS = 64;
constexpr uint64_t POISON = ~0ull, FENCE = 0x5afe57acc0de5afe;

struct Block {
    Index index;
    int size, begun, left, waiting, sleeping;
    int ready[MOST], first, count;      /* a ring */
    int asleep[MOST];
    char *shared, *dynamic;
    Thread threads[MOST];
};

/* Not static: whoever waits must read these anew, so the compiler must take every call for one that changes them. */
Block *block;                           /* the one that runs */
Thread *self;
Fiber *idle, *running;
jmp_buf scheduler;
char failure[512];                      /* text of the first mistake */
long progress, streak;                  /* things that happened; atomics in a row by one thread */
bool reversed;
size_t reserved;                        /* of the shared memory, by all texts of this unit */
void (*entry)(void **);
void **arguments;

}  // namespace emu

emu::Index threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = emu::WARP;

namespace emu {

/* ---- fibers ---- */

[[noreturn]] EMU_OUT_OF_LINE static void fail(const char *format, ...)
{
    if (!failure[0]) {
        va_list list;
        va_start(list, format);
        vsnprintf(failure, sizeof failure, format, list);
        va_end(list);
    }
    _longjmp(scheduler, 1);             /* the fiber is left as it lies */
}

static inline void choose_ready()
{
    self = &block->threads[block->ready[block->first]];
    block->first = (block->first + 1) % MOST;
    block->count--;
    threadIdx = self->index;
    running = self->fiber;
}

/* Goes on with another thread that can, or else with the scheduler; returns when this one is chosen again. */
EMU_OUT_OF_LINE static void leave()
{
    streak = 0;
    if (_setjmp(self->fiber->at)) return;
    if (!block->count) _longjmp(scheduler, 1);
    choose_ready();
    _longjmp(running->at, 1);
}

EMU_OUT_OF_LINE static void begin_thread()
{
    const int id = reversed ? block->size - 1 - block->begun : block->begun;
    block->begun++;
    self = &block->threads[id];
    self->fiber = running;
    self->state = READY;
    self->index = {id % blockDim.x, id / blockDim.x % blockDim.y, id / blockDim.x / blockDim.y};
    threadIdx = self->index;
}

static void worker()
{
    for (;;) {
        while (block->begun < block->size) {
            begin_thread();
            entry(arguments);
            self->state = LEFT;
            block->left++;
            progress++;
        }
        if (*(uint64_t *)running->stack != FENCE) fail("a thread's stack of %zu bytes overflowed", STACK);
        running->next = idle;
        idle = running;
        if (!_setjmp(running->at)) _longjmp(scheduler, 1);
    }
}

EMU_OUT_OF_LINE static Fiber *take_fiber()
{
    if (!idle) {
        char *stacks = (char *)mmap(NULL, STACKS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
        if (stacks == MAP_FAILED) abort();
        for (size_t k = 0; k < STACKS; k++) {
            Fiber *fiber = (Fiber *)calloc(1, sizeof(Fiber));
            fiber->stack = stacks + k * STACK;
            *(uint64_t *)fiber->stack = FENCE;
            fiber->fresh = true;
            fiber->next = idle;
            idle = fiber;
        }
    }
    Fiber *fiber = idle;
    idle = fiber->next;
    return fiber;
}

EMU_OUT_OF_LINE static void enter(Fiber *fiber)
{
    running = fiber;
    if (_setjmp(scheduler)) return;
    if (!fiber->fresh) _longjmp(fiber->at, 1);
    fiber->fresh = false;
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = fiber->stack;
    fiber->start.uc_stack.ss_size = STACK;
    fiber->start.uc_link = NULL;
    makecontext(&fiber->start, worker, 0);
    setcontext(&fiber->start);
}

static void make_ready(Thread *thread)
{
    thread->state = READY;
    block->ready[(block->first + block->count++) % MOST] = (int)(thread - block->threads);
}

/* ---- waiting ---- */

/* All threads of the block come here, at one line of the text; the number of those with a value that is not 0. */
EMU_OUT_OF_LINE static int sync_block(int line, int value)
{
    self->line = line;
    self->in = value != 0;
    self->state = AT_BLOCK;
    if (++block->waiting < block->size) {
        leave();
        return (int)self->out;
    }
    uint64_t sum = 0;
    for (int k = 0; k < block->size; k++) {
        const Thread *other = &block->threads[k];
        if (other->line != line)
            fail("thread %d waits at the __syncthreads of line %d, thread %d at that of line %d",
                 (int)(self - block->threads), line, k, other->line);
        sum += other->in;
    }
    for (int k = 0; k < block->size; k++) {
        block->threads[k].out = sum;
        if (&block->threads[k] != self) make_ready(&block->threads[k]);
    }
    block->waiting = 0;
    self->state = READY;
    progress++;
    return (int)sum;
}

/* The lanes of a mask come here, at one line; each gets the value of its source. */
EMU_OUT_OF_LINE static uint64_t exchange(int line, unsigned mask, uint64_t value, int source)
{
    const int id = (int)(self - block->threads), lane = id % WARP;
    Thread *warp = self - lane;
    const int lanes = block->size - (id - lane) < WARP ? block->size - (id - lane) : WARP;
    const unsigned here = mask & (lanes == WARP ? ~0u : (1u << lanes) - 1);
    if (!(mask >> lane & 1)) fail("line %d: thread %d is not in the mask 0x%x that it names", line, id, mask);
    self->line = line;
    self->mask = mask;
    self->in = value;
    self->source = source;
    self->state = AT_WARP;
    for (int k = lanes - 1; k >= 0; k--)        /* the last come last, mostly */
        if (here >> k & 1 && (warp[k].state != AT_WARP || warp[k].mask != mask || warp[k].line != line)) {
            leave();
            return self->out;
        }
    uint64_t vote = 0;
    for (int k = 0; k < lanes; k++)
        if (here >> k & 1) vote |= (uint64_t)(warp[k].in != 0) << k;
    for (int k = 0; k < lanes; k++) {
        const int from = warp[k].source;
        if (here >> k & 1) warp[k].out = from < 0 ? vote : here >> from & 1 ? warp[from].in : POISON;
    }
    for (int k = 0; k < lanes; k++)
        if (here >> k & 1 && k != lane) make_ready(&warp[k]);
    self->state = READY;
    progress++;
    return self->out;
}

static void doze()
{
    self->state = ASLEEP;
    block->asleep[block->sleeping++] = (int)(self - block->threads);
    leave();
}

/* Called by atomics and fences, since a thread may wait for another by them alone. */
static inline void tick()
{
    if (++streak > 1000) doze();
}

/* ---- blocks ---- */

/* Runs a block until none of its threads can go on. */
EMU_OUT_OF_LINE static void advance(Block *chosen)
{
    block = chosen;
    blockIdx = block->index;
    for (int k = 0; k < block->sleeping; k++) make_ready(&block->threads[block->asleep[k]]);
    block->sleeping = 0;
    while (!failure[0]) {
        if (block->count) {
            choose_ready();
            enter(running);
        }
        else if (block->begun < block->size) enter(take_fiber());
        else break;
    }
    if (failure[0] || block->sleeping || block->left == block->size) return;
    int at_warp = 0, line = 0;
    for (int k = 0; k < block->size; k++) {
        const Thread *thread = &block->threads[k];
        at_warp += thread->state == AT_WARP;
        if (thread->state == AT_BLOCK || thread->state == AT_WARP) line = thread->line;
    }
    snprintf(failure, sizeof failure, "block %u stands still: of %d threads, %d wait at __syncthreads, %d at a function of "
             "the warp (one at line %d), %d have left", block->index.x, block->size, block->waiting, at_warp, line, block->left);
}

static Block *open_block(long number, size_t dynamic)
{
    static Block *spare[MOST];
    static int spares;
    if (number < 0) {                   /* give back */
        spare[spares++] = block;
        return NULL;
    }
    Block *fresh = spares ? spare[--spares] : (Block *)calloc(1, sizeof(Block));
    if (!fresh->shared) {
        fresh->shared = (char *)mmap(NULL, 2 * SHARED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
        if (fresh->shared == MAP_FAILED) abort();
        memset(fresh->shared, 0xff, 2 * SHARED);
    }
    memset(fresh->shared, 0xff, reserved);              /* unwritten shared memory is NaN */
    fresh->dynamic = fresh->shared + SHARED;
    memset(fresh->dynamic, 0xff, dynamic);
    fresh->size = (int)(blockDim.x * blockDim.y * blockDim.z);
    fresh->begun = fresh->left = fresh->waiting = fresh->sleeping = fresh->first = fresh->count = 0;
    for (int k = 0; k < fresh->size; k++) fresh->threads[k].state = NOT_BEGUN;
    fresh->index = {(unsigned)(number % gridDim.x), (unsigned)(number / gridDim.x % gridDim.y),
                    (unsigned)(number / gridDim.x / gridDim.y)};
    return fresh;
}

static size_t reserve(size_t size, size_t alignment)
{
    const size_t at = (reserved + alignment - 1) / alignment * alignment;
    reserved = at + size;
    if (reserved > SHARED) fail("the shared memory of this text is over %zu bytes", SHARED);
    return at;
}

/* ---- kernels as the host sees them ---- */

struct Parameter { unsigned size, target; char kind, target_kind; };   /* target: what a pointer points to; 0 unknown */

template <class T> struct Kind {
    static constexpr char get() { if constexpr (__is_class(T) || __is_union(T)) return 's'; else return 'i'; }
    static constexpr Parameter describe() { return {sizeof(T), 0, get(), '?'}; }
    static constexpr unsigned size() { return __is_class(T) || __is_union(T) ? 0 : sizeof(T); }
};
template <> constexpr char Kind<float>::get() { return 'f'; }
template <> constexpr char Kind<double>::get() { return 'f'; }
template <> constexpr unsigned Kind<void>::size() { return 0; }
template <> constexpr char Kind<void>::get() { return '?'; }
template <class T> struct Kind<const T> : Kind<T> {};
template <class T> struct Kind<volatile T> : Kind<T> {};
template <class T> struct Kind<const volatile T> : Kind<T> {};
template <class T> struct Kind<T *> {
    static constexpr char get() { return 'p'; }
    static constexpr unsigned size() { return sizeof(T *); }
    static constexpr Parameter describe() { return {sizeof(T *), Kind<T>::size(), 'p', Kind<T>::get()}; }
};

template <int... N> struct Numbers {};
template <int K, int... N> struct Count : Count<K - 1, K - 1, N...> {};
template <int... N> struct Count<0, N...> { typedef Numbers<N...> type; };

struct Kernel { int bound, count; const Parameter *parameters; void (*call)(void **); };

template <auto F> struct Entry;
template <class... A, void (*F)(A...)> struct Entry<F> {
    static constexpr Parameter parameters[] = {Kind<A>::describe()..., {}};
    template <int... N> static void unpack(void **values, Numbers<N...>) { F(*(A *)values[N]...); }
    static void call(void **values) { unpack(values, typename Count<sizeof...(A)>::type()); }
    static constexpr Kernel kernel(int bound) { return {bound, sizeof...(A), parameters, call}; }
};

}  // namespace emu

#define EMULATED_KERNEL(name, bound) \
    extern "C" __attribute__((visibility("default"), used)) const emu::Kernel emulated_kernel_##name; \
    const emu::Kernel emulated_kernel_##name = emu::Entry<name>::kernel(bound);

/* Runs a grid to its end; 0, or 1 with what went wrong in `message`. */
extern "C" __attribute__((visibility("default")))
int emulated_launch(const emu::Kernel *kernel, void **values, const unsigned *grid, const unsigned *threads, size_t dynamic,
                    int resident, int backwards, char *message, size_t length)
{
    using namespace emu;
    Block *live[MOST];
    int alive = 0, rounds = 0;
    entry = kernel->call;
    arguments = values;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads[0], threads[1], threads[2]};
    reversed = backwards != 0;
    failure[0] = 0;
    const long total = (long)grid[0] * grid[1] * grid[2];
    for (long opened = 0; !failure[0] && (opened < total || alive);) {
        const long before = progress;
        if (alive < resident && opened < total) {
            live[alive++] = open_block(reversed ? total - 1 - opened : opened, dynamic);
            opened++;
        }
        int kept = 0;
        for (int k = 0; k < alive; k++) {
            if (!failure[0]) advance(live[k]);
            block = live[k];
            if (failure[0] || block->left == block->size) open_block(-1, 0);
            else live[kept++] = live[k];
        }
        alive = kept;
        rounds = progress == before && alive ? rounds + 1 : 0;
        if (rounds > 10000)
            snprintf(failure, sizeof failure, "the threads sleep forever: %d of %ld blocks are resident, %ld have begun, and "
                     "none of them goes on", alive, total, opened);
    }
    snprintf(message, length, "%s", failure);
    return failure[0] != 0;
}

/* The first of `count` stretches of memory with a byte that is not 0xff; -1 where there is none. */
extern "C" __attribute__((visibility("default"))) long emulated_find_broken(const uint64_t *stretches, long count, long size)
{
    for (long k = 0; k < count; k++) {
        const unsigned char *at = (const unsigned char *)stretches[k];
        if (at[0] != 0xff || memcmp(at, at + 1, size - 1)) return k;
    }
    return -1;
}

/* ---- what CUDA C++ adds to C++ ---- */

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#define __builtin_assume(x)

typedef emu::Index dim3;

#define EMU_VECTOR(T, name) \
    struct name##2 { T x, y; }; struct name##3 { T x, y, z; }; struct name##4 { T x, y, z, w; }; \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
    static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMU_VECTOR(float, float) EMU_VECTOR(double, double) EMU_VECTOR(int, int) EMU_VECTOR(unsigned, uint)

namespace emu {
template <class To, class From> static inline To bits(From value)
{
    To to = To();
    memcpy(&to, &value, sizeof to < sizeof value ? sizeof to : sizeof value);
    return to;
}
template <class T> static inline T shuffle(int line, unsigned mask, T value, int source)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles take values of 4 or 8 bytes");
    return bits<T>(exchange(line, mask, bits<uint64_t>(value), source));
}
static inline int lane() { return (int)(self - block->threads) % WARP; }
/* Lane a + d where that lies in the same group of `width` lanes, else the own one. */
static inline int within(int source, int width) { return source / width == lane() / width && source >= 0 ? source : lane(); }
}  // namespace emu

#define EMU_LINE int line = __builtin_LINE()
#define EMU_VALUE template <class T> static inline T

static inline void __syncthreads(EMU_LINE) { emu::sync_block(line, 0); }
static inline int __syncthreads_count(int x, EMU_LINE) { return emu::sync_block(line, x != 0); }
static inline int __syncthreads_or(int x, EMU_LINE) { return emu::sync_block(line, x != 0) != 0; }
static inline int __syncthreads_and(int x, EMU_LINE) { return emu::sync_block(line, x == 0) == 0; }
static inline void __syncwarp(unsigned mask = ~0u, EMU_LINE) { emu::exchange(line, mask, 0, -1); }
static inline unsigned __ballot_sync(unsigned mask, int x, EMU_LINE) { return (unsigned)emu::exchange(line, mask, x != 0, -1); }
static inline int __any_sync(unsigned mask, int x, EMU_LINE) { return emu::exchange(line, mask, x != 0, -1) != 0; }
static inline int __all_sync(unsigned mask, int x, EMU_LINE) { return emu::exchange(line, mask, x == 0, -1) == 0; }
EMU_VALUE __shfl_sync(unsigned mask, T x, int from, int width = warpSize, EMU_LINE)
{ return emu::shuffle(line, mask, x, emu::lane() / width * width + (from & (width - 1))); }
EMU_VALUE __shfl_up_sync(unsigned mask, T x, unsigned d, int width = warpSize, EMU_LINE)
{ return emu::shuffle(line, mask, x, emu::within(emu::lane() - (int)d, width)); }
EMU_VALUE __shfl_down_sync(unsigned mask, T x, unsigned d, int width = warpSize, EMU_LINE)
{ return emu::shuffle(line, mask, x, emu::within(emu::lane() + (int)d, width)); }
EMU_VALUE __shfl_xor_sync(unsigned mask, T x, int flip, int width = warpSize, EMU_LINE)
{ return emu::shuffle(line, mask, x, emu::within(emu::lane() ^ flip, width)); }

static inline void __nanosleep(unsigned) { emu::doze(); }
static inline void __threadfence() { emu::tick(); }
static inline void __threadfence_block() { emu::tick(); }
static inline void __threadfence_system() { emu::tick(); }
static inline void __trap() { emu::fail("__trap()"); }
static inline long long clock64() { return emu::progress; }

#define EMU_ATOMIC(T, name, result) \
    static inline T atomic##name(T *p, T x) { emu::tick(); const T old = *p, to = (result); emu::progress += to != old; *p = to; return old; }
#define EMU_ATOMIC_CAS(T) static inline T atomicCAS(T *p, T expected, T x) \
    { emu::tick(); const T old = *p; if (old == expected) { *p = x; emu::progress++; } return old; }
#define EMU_ATOMICS(T) EMU_ATOMIC(T, Add, old + x) EMU_ATOMIC(T, Min, x < old ? x : old) EMU_ATOMIC(T, Max, x > old ? x : old) \
    EMU_ATOMIC(T, Exch, x) EMU_ATOMIC(T, And, old & x) EMU_ATOMIC(T, Or, old | x) EMU_ATOMIC(T, Xor, old ^ x) EMU_ATOMIC_CAS(T)
EMU_ATOMICS(int) EMU_ATOMICS(unsigned) EMU_ATOMICS(unsigned long long)
EMU_ATOMIC(long long, Min, x < old ? x : old) EMU_ATOMIC(long long, Max, x > old ? x : old)
EMU_ATOMIC(float, Add, old + x) EMU_ATOMIC(double, Add, old + x) EMU_ATOMIC(float, Exch, x)
EMU_ATOMIC(int, Sub, old - x) EMU_ATOMIC(unsigned, Sub, old - x)
EMU_ATOMIC(unsigned, Inc, old >= x ? 0 : old + 1) EMU_ATOMIC(unsigned, Dec, old == 0 || old > x ? x : old - 1)

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *(const volatile T *)p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldcv(const T *p) { return *(const volatile T *)p; }
template <class T> static inline void __stcg(T *p, T x) { *p = x; }
template <class T> static inline void __stcs(T *p, T x) { *p = x; }
template <class T> static inline void __stwt(T *p, T x) { *p = x; }

#define __double_as_longlong(x) emu::bits<long long>((double)(x))
#define __longlong_as_double(x) emu::bits<double>((long long)(x))
#define __float_as_int(x) emu::bits<int>((float)(x))
#define __float_as_uint(x) emu::bits<unsigned>((float)(x))
#define __int_as_float(x) emu::bits<float>((int)(x))
#define __uint_as_float(x) emu::bits<float>((unsigned)(x))
#define __double2hiint(x) ((int)(__double_as_longlong(x) >> 32))
#define __double2loint(x) ((int)__double_as_longlong(x))
#define __hiloint2double(hi, lo) __longlong_as_double((long long)(hi) << 32 | (unsigned)(lo))
#define __double2int_rn(x) ((int)rint(x))
#define __double2int_rz(x) ((int)(x))
#define __float2int_rn(x) ((int)rintf(x))
#define __popc(x) __builtin_popcount(x)
#define __popcll(x) __builtin_popcountll(x)
#define __ffs(x) __builtin_ffs(x)
#define __clz(x) ((x) ? __builtin_clz(x) : 32)

/* Arithmetic with the rounding in the name; nothing here is contracted (-ffp-contract=off). */
#define __dadd_rn(a, b) ((double)(a) + (double)(b))
#define __dsub_rn(a, b) ((double)(a) - (double)(b))
#define __dmul_rn(a, b) ((double)(a) * (double)(b))
#define __ddiv_rn(a, b) ((double)(a) / (double)(b))
#define __drcp_rn(a) (1.0 / (double)(a))
#define __dsqrt_rn(a) sqrt((double)(a))
#define __fma_rn(a, b, c) fma((double)(a), (double)(b), (double)(c))
#define __fadd_rn(a, b) ((float)(a) + (float)(b))
#define __fsub_rn(a, b) ((float)(a) - (float)(b))
#define __fmul_rn(a, b) ((float)(a) * (float)(b))
#define __fdiv_rn(a, b) ((float)(a) / (float)(b))
#define __frcp_rn(a) (1.0f / (float)(a))
#define __fsqrt_rn(a) sqrtf(a)
#define __frsqrt_rn(a) (1.0f / sqrtf(a))
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
#define __fdividef(a, b) ((float)(a) / (float)(b))
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __saturatef(x) fminf(fmaxf(x, 0.0f), 1.0f)

#undef isfinite
#undef isnan
#undef isinf
#undef signbit
template <class T> static inline bool isfinite(T x) { return __builtin_isfinite(x); }
static inline bool isnan(float x) { return __builtin_isnan(x); }
static inline bool isinf(float x) { return __builtin_isinf(x) != 0; }
#define isnan(x) ((bool)__builtin_isnan(x))
#define isinf(x) (__builtin_isinf(x) != 0)
template <class T> static inline bool signbit(T x) { return __builtin_signbit(x) != 0; }

/* libc's math.h, taken without C++'s, knows double alone: the overloads of CUDA for float and int. */
#define EMU_MATH1(F) static inline float F(float x) { return F##f(x); } static inline double F(int x) { return F((double)x); } \
    static inline double F(long x) { return F((double)x); }
#define EMU_MATH2(F) static inline float F(float x, float y) { return F##f(x, y); } \
    template <class A, class B> static inline double F(A x, B y) { return F((double)x, (double)y); }
EMU_MATH1(sqrt) EMU_MATH1(cbrt) EMU_MATH1(floor) EMU_MATH1(ceil) EMU_MATH1(trunc) EMU_MATH1(round) EMU_MATH1(rint)
EMU_MATH1(exp) EMU_MATH1(exp2) EMU_MATH1(expm1) EMU_MATH1(log) EMU_MATH1(log2) EMU_MATH1(log10) EMU_MATH1(log1p) EMU_MATH1(fabs)
EMU_MATH1(sin) EMU_MATH1(cos) EMU_MATH1(tan) EMU_MATH1(asin) EMU_MATH1(acos) EMU_MATH1(atan) EMU_MATH1(erf) EMU_MATH1(erfc)
EMU_MATH1(sinh) EMU_MATH1(cosh) EMU_MATH1(tanh) EMU_MATH1(asinh) EMU_MATH1(acosh) EMU_MATH1(atanh)
EMU_MATH2(pow) EMU_MATH2(atan2) EMU_MATH2(fmod) EMU_MATH2(fmin) EMU_MATH2(fmax) EMU_MATH2(hypot) EMU_MATH2(copysign)
static inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline double rcbrt(double x) { return 1.0 / cbrt(x); }
static inline double abs(double x) { return fabs(x); }
static inline float abs(float x) { return fabsf(x); }

template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a < b ? b : a; }
template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return b < a ? b : a; }
static inline double max(double a, double b) { return fmax(a, b); }     /* as CUDA's: a number rather than NaN */
static inline double min(double a, double b) { return fmin(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }

#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __CUDA_ARCH__ 900
#define UPSTROKE_EMULATED 1
