// Runs the kernels of source.cu on the CPU, for tests: each thread of a block is a fibre, and a barrier hands over to the
// next. Blocks run one after the other. Threads run in rising or falling order between barriers, so that a result that
// depends on the order, as without a barrier that is needed, shows as a difference between the two.

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

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};
static ucontext_t scheduler;
static std::vector<Fibre> fibres;
static void (*body)(void** args);
static void** arguments;

static void run_thread() {
    body(arguments);
    fibres[threadIdx.x].done = true;
}

static void __syncthreads() { swapcontext(&fibres[threadIdx.x].context, &scheduler); }

static float __shfl_xor_sync(unsigned, float value, int lane) {
    static float of_thread[1024];
    of_thread[threadIdx.x] = value;
    __syncthreads();
    float other = of_thread[threadIdx.x ^ lane];
    __syncthreads();
    return other;
}

#include "source.cu"

static void run_block(bool backwards) {
    for (Fibre& fibre : fibres) {
        fibre.stack.resize(1 << 16);
        fibre.done = false;
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = fibre.stack.size();
        fibre.context.uc_link = &scheduler;
        makecontext(&fibre.context, run_thread, 0);
    }
    for (unsigned waiting = fibres.size(); waiting > 0;) {
        unsigned before = waiting;
        waiting = 0;
        for (unsigned i = 0; i < fibres.size(); i++) {
            unsigned thread = backwards ? fibres.size() - 1 - i : i;
            if (fibres[thread].done) continue;
            threadIdx.x = thread;
            swapcontext(&scheduler, &fibres[thread].context);
            waiting += !fibres[thread].done;
        }
        if (waiting > 0 && waiting != before) fail("some threads passed a barrier that others did not");
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
    BOTH(softmax_gradient) BOTH(unroll) BOTH(channel_norm)
    ONE(sum_of_squares) ONE(clip_factor) ONE(adam_moments) ONE(adam_step)
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
