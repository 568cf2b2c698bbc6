// Runs the kernels of source.cu on the CPU, for tests: each thread of a block is a fibre. Blocks run one after the other,
// and of a block one warp after the other as far as its next barrier, in rising or falling order; so that a result that
// depends on the order, as without a barrier that is needed, shows as a wrong one.

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline

struct Index {
    unsigned x, y;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

static unsigned __float_as_uint(float x) { unsigned bits; std::memcpy(&bits, &x, 4); return bits; }
static float __uint_as_float(unsigned bits) { float x; std::memcpy(&x, &bits, 4); return x; }

static void fail(const char* what) {
    std::fprintf(stderr, "emulated kernel: %s\n", what);
    std::abort();
}

enum State { RUNNING, WAITING, DONE };
struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    State state;
};
static ucontext_t scheduler;
static std::vector<Fibre> fibres;
static void (*body)(void** args);
static void** arguments;

static void run_thread() {
    body(arguments);
    fibres[threadIdx.x].state = DONE;
}

static void yield() { swapcontext(&fibres[threadIdx.x].context, &scheduler); }

static void __syncthreads() {
    fibres[threadIdx.x].state = WAITING;
    yield();
}

static float __shfl_xor_sync(unsigned, float value, int lane) {
    static float of_thread[1024];
    of_thread[threadIdx.x] = value;
    yield();  // a warp's threads take turns, those of other warps do not come between
    float other = of_thread[threadIdx.x ^ lane];
    yield();
    return other;
}

#include "source.cu"

// Until all threads of the warp wait at a barrier or are done.
static void run_warp(unsigned warp, bool backwards) {
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned lane = 0; lane < 32; lane++) {
            unsigned thread = 32 * warp + (backwards ? 31 - lane : lane);
            if (fibres[thread].state != RUNNING) continue;
            threadIdx.x = thread;
            swapcontext(&scheduler, &fibres[thread].context);
            moved = true;
        }
    }
}

static void run_block(bool backwards) {
    for (Fibre& fibre : fibres) {
        fibre.stack.resize(1 << 16);
        fibre.state = RUNNING;
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = fibre.stack.size();
        fibre.context.uc_link = &scheduler;
        makecontext(&fibre.context, run_thread, 0);
    }
    unsigned count = fibres.size(), done = 0;
    while (done < count) {
        for (unsigned warp = 0; warp < count / 32; warp++) run_warp(backwards ? count / 32 - 1 - warp : warp, backwards);
        for (Fibre& fibre : fibres) {
            done += fibre.state == DONE;
            if (fibre.state == WAITING) fibre.state = RUNNING;
        }
        if (done > 0 && done < count) fail("some threads passed a barrier that others did not");
    }
}

template <class... A, std::size_t... I>
static void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(args[I])...);
}
template <class... A>
static void call(void (*kernel)(A...), void** args) {
    call(kernel, args, std::index_sequence_for<A...>());
}

struct Kernel {
    const char* name;
    void (*body)(void** args);
};
#define ONE(NAME) {#NAME, [](void** args) { call(NAME, args); }},
#define BOTH(NAME) ONE(NAME##_f32) ONE(NAME##_bf16)
static const Kernel kernels[] = {
    BOTH(layer_norm) BOTH(rms_norm) BOTH(layer_norm_input_gradient) BOTH(rms_norm_input_gradient)
    BOTH(layer_norm_moments) BOTH(rms_norm_moments) BOTH(norm_gain_gradient) BOTH(gelu) BOTH(gelu_gradient)
    BOTH(gated) BOTH(gate_gradient) BOTH(add_bias) BOTH(narrow) BOTH(rope) BOTH(softmax) BOTH(attention_delta)
    BOTH(softmax_gradient) BOTH(unroll) BOTH(channel_norm) BOTH(channel_sums) BOTH(clear)
    ONE(fold) ONE(sum_of_squares) ONE(clip_factor) ONE(adam_moments) ONE(adam_step)
};

// As cuLaunchKernel takes it: `args` points to each argument. Says whether there is such a kernel.
extern "C" int emulate(const char* name, unsigned x, unsigned y, unsigned threads, void** args, int backwards) {
    if (threads == 0 || threads % 32 != 0 || threads > 1024) fail("a block is not of whole warps");
    for (const Kernel& kernel : kernels) {
        if (std::strcmp(kernel.name, name) != 0) continue;
        body = kernel.body;
        arguments = args;
        blockDim = {threads, 1};
        gridDim = {x, y};
        fibres.resize(threads);
        for (blockIdx.y = 0; blockIdx.y < y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < x; blockIdx.x++) run_block(backwards);
        return 1;
    }
    return 0;
}
