// The kernels of the networks for NVIDIA GPUs: values in f32 or bf16, all arithmetic in f32.
//
// Compiled by NVRTC when first used, so nothing is included. Every kernel has one dimension of threads and, unless it
// says otherwise, covers its elements whatever the size of the grid. A "row" is the last dimension of a tensor.

typedef long long i64;

struct bf16 {
    unsigned short bits;
};

__device__ __forceinline__ float load(const float* x, i64 i) { return x[i]; }

__device__ __forceinline__ float load(const bf16* x, i64 i) {
    return __uint_as_float(static_cast<unsigned int>(x[i].bits) << 16);
}

__device__ __forceinline__ void store(float* x, i64 i, float value) { x[i] = value; }

// Rounds to nearest, halves to even; NaN stays NaN.
__device__ __forceinline__ void store(bf16* x, i64 i, float value) {
    unsigned int bits = __float_as_uint(value);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    bits += 0x7fffu + ((bits >> 16) & 1u);
    x[i].bits = nan ? 0x7fc0u : static_cast<unsigned short>(bits >> 16);
}

#define FOR_EACH(i, count)                                                          \
    for (i64 i = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; i < (count); \
         i += static_cast<i64>(gridDim.x) * blockDim.x)

#define FOR_ROW(i, size) for (int i = threadIdx.x; i < (size); i += blockDim.x)

struct Add {
    __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};

struct Max {
    __device__ __forceinline__ float operator()(float a, float b) const { return a > b ? a : b; }
};

// Joins one value of each thread of the block; every thread gets the result. Blocks are whole warps.
template <class Join>
__device__ float of_block(float value, float neutral, Join join) {
    __shared__ float of_warp[32];
    for (int lane = 16; lane > 0; lane /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, lane));
    __syncthreads();  // an earlier call's results are read by now
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = neutral;
    for (int warp = 0; warp < static_cast<int>(blockDim.x) / 32; warp++) value = join(value, of_warp[warp]);
    return value;
}

__device__ __forceinline__ float sum_of_block(float value) { return of_block(value, 0.0f, Add()); }

// ---------------------------------------------------------------------------------------------------------------
// Normalisation of rows: less the mean where CENTRED, over the deviation or root of the mean square. A block a row.

struct Moments {
    float mean, inverse;
};

template <bool CENTRED, class T>
__device__ Moments moments_of(const T* x, int size, float eps) {
    float mean = 0.0f, sum = 0.0f;
    if (CENTRED) {
        FOR_ROW(i, size) sum += load(x, i);
        mean = sum_of_block(sum) / size;
        sum = 0.0f;
    }
    FOR_ROW(i, size) {
        float off = load(x, i) - mean;
        sum += off * off;
    }
    return Moments{mean, 1.0f / sqrtf(sum_of_block(sum) / size + eps)};
}

// `sharing` rows in succession share a row of `gain` and, where there is one, of `shift`.
template <bool CENTRED, class T>
__device__ void norm(const T* x, const float* gain, const float* shift, T* out, int size, int sharing, float eps) {
    i64 row = blockIdx.x, start = row * size, shared = row / sharing * size;
    Moments m = moments_of<CENTRED>(x + start, size, eps);
    FOR_ROW(i, size) {
        float y = (load(x, start + i) - m.mean) * m.inverse * gain[shared + i];
        store(out, start + i, CENTRED ? y + shift[shared + i] : y);
    }
}

template <bool CENTRED, class T>
__device__ void norm_input_gradient(
    const T* x, const float* gain, const T* gradient, T* out, int size, int sharing, float eps) {
    i64 row = blockIdx.x, start = row * size, shared = row / sharing * size;
    Moments m = moments_of<CENTRED>(x + start, size, eps);
    float level = 0.0f, tilt = 0.0f;
    FOR_ROW(i, size) {
        float d = load(gradient, start + i) * gain[shared + i];
        level += d;
        tilt += d * (load(x, start + i) - m.mean);
    }
    level = CENTRED ? sum_of_block(level) / size : 0.0f;
    tilt = sum_of_block(tilt) * m.inverse * m.inverse / size;
    FOR_ROW(i, size) {
        float d = load(gradient, start + i) * gain[shared + i];
        store(out, start + i, (d - level - (load(x, start + i) - m.mean) * tilt) * m.inverse);
    }
}

// (rows, 2): mean and 1 / deviation.
template <bool CENTRED, class T>
__device__ void norm_moments(const T* x, float* moments, int size, float eps) {
    i64 row = blockIdx.x;
    Moments m = moments_of<CENTRED>(x + row * size, size, eps);
    if (threadIdx.x == 0) {
        moments[2 * row] = m.mean;
        moments[2 * row + 1] = m.inverse;
    }
}

// Gradients of gain and shift, summed over the rows that share them. A thread a column; blockIdx.y is the group.
template <class T>
__device__ void norm_gain_gradient(
    const T* x, const float* moments, const T* gradient, float* gain, float* shift, int size, int sharing) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= size) return;
    float of_gain = 0.0f, of_shift = 0.0f;
    for (i64 row = static_cast<i64>(blockIdx.y) * sharing; row < (blockIdx.y + 1ll) * sharing; row++) {
        float g = load(gradient, row * size + column);
        of_gain += g * (load(x, row * size + column) - moments[2 * row]) * moments[2 * row + 1];
        of_shift += g;
    }
    i64 at = static_cast<i64>(blockIdx.y) * size + column;
    gain[at] = of_gain;
    shift[at] = of_shift;
}

// ---------------------------------------------------------------------------------------------------------------
// Element by element.

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// 2 sqrt(2/pi): half of 1 + tanh(u) is the sigmoid of 2u.
#define GELU_SLOPE 1.5957691216057308f
#define GELU_CUBIC 0.044715f

template <class T>
__device__ void gelu(const T* x, T* out, i64 count) {
    FOR_EACH(i, count) {
        float v = load(x, i);
        store(out, i, v * sigmoid(GELU_SLOPE * (v + GELU_CUBIC * v * v * v)));
    }
}

template <class T>
__device__ void gelu_gradient(const T* x, const T* gradient, T* out, i64 count) {
    FOR_EACH(i, count) {
        float v = load(x, i);
        float s = sigmoid(GELU_SLOPE * (v + GELU_CUBIC * v * v * v));
        float slope = s + v * s * (1.0f - s) * GELU_SLOPE * (1.0f + 3.0f * GELU_CUBIC * v * v);
        store(out, i, load(gradient, i) * slope);
    }
}

// x + y gate, or only y gate where there is no x; `sharing` rows in succession share a row of the gate.
template <class T>
__device__ void gated(const T* x, const T* y, const float* gate, T* out, i64 count, int size, int sharing) {
    FOR_EACH(i, count) {
        i64 row = i / size;
        float product = load(y, i) * gate[row / sharing * size + (i - row * size)];
        store(out, i, x ? load(x, i) + product : product);
    }
}

// The gate's gradient: gradient times y, summed over the rows that share it. A thread a column, blockIdx.y the group.
template <class T>
__device__ void gate_gradient(const T* y, const T* gradient, float* out, int size, int sharing) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= size) return;
    float sum = 0.0f;
    for (i64 row = static_cast<i64>(blockIdx.y) * sharing; row < (blockIdx.y + 1ll) * sharing; row++)
        sum += load(gradient, row * size + column) * load(y, row * size + column);
    out[static_cast<i64>(blockIdx.y) * size + column] = sum;
}

// Adds bias[(i / inner) % size] to each element i.
template <class T>
__device__ void add_bias(T* y, const T* bias, i64 count, i64 inner, int size) {
    FOR_EACH(i, count) store(y, i, load(y, i) + load(bias, i / inner % size));
}

template <class T>
__device__ void clear(T* x, i64 count) {
    FOR_EACH(i, count) store(x, i, 0.0f);
}

template <class T>
__device__ void narrow(const float* x, T* out, i64 count) {
    FOR_EACH(i, count) store(out, i, x[i]);
}

// Turns neighbouring channels of x (batch, tokens, heads, 2 pairs) by the angles (tokens, pairs) times `direction`.
template <class T>
__device__ void rope(
    const T* x, const float* cosines, const float* sines, T* out, i64 count, int tokens, int heads, int pairs,
    float direction) {
    FOR_EACH(i, count) {  // a pair each
        i64 token = i / (static_cast<i64>(heads) * pairs) % tokens;
        i64 angle = token * pairs + i % pairs;
        float c = cosines[angle], s = sines[angle] * direction;
        float a = load(x, 2 * i), b = load(x, 2 * i + 1);
        store(out, 2 * i, a * c - b * s);
        store(out, 2 * i + 1, a * s + b * c);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Attention: what stands between the matrix products. A block a row of scores (some heads, some queries; keys).

// `first` and `stride` say where the tile's rows lie in lse and delta (heads, queries): the tile has `queries` of each
// head, the stride is all queries.
__device__ __forceinline__ i64 query_of(i64 row, int queries, i64 first, i64 stride) {
    return first + row / queries * stride + row % queries;
}

template <class T>
__device__ void softmax(const float* scores, T* weights, float* lse, int keys, int queries, i64 first, i64 stride) {
    i64 row = blockIdx.x, start = row * keys;
    float peak = -3.402823466e38f, sum = 0.0f;
    FOR_ROW(i, keys) peak = Max()(peak, scores[start + i]);
    peak = of_block(peak, -3.402823466e38f, Max());
    FOR_ROW(i, keys) sum += expf(scores[start + i] - peak);
    sum = sum_of_block(sum);
    float inverse = 1.0f / sum;
    FOR_ROW(i, keys) store(weights, start + i, expf(scores[start + i] - peak) * inverse);
    if (threadIdx.x == 0) lse[query_of(row, queries, first, stride)] = peak + logf(sum);
}

// delta (heads, queries) of one clip: each query's gradient times its result, both (queries, heads, channels).
template <class T>
__device__ void attention_delta(const T* out, const T* gradient, float* delta, int heads, int channels, i64 queries) {
    i64 row = blockIdx.x, start = row * channels;
    float sum = 0.0f;
    FOR_ROW(i, channels) sum += load(out, start + i) * load(gradient, start + i);
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) delta[row % heads * queries + row / heads] = sum;
}

// From scores and the gradient of the weights: the weights again, and the gradient of the scores before scaling.
template <class T>
__device__ void softmax_gradient(
    const float* scores, const float* slopes, const float* lse, const float* delta, T* weights, T* gradient, int keys,
    int queries, i64 first, i64 stride, float scale) {
    i64 row = blockIdx.x, start = row * keys, query = query_of(row, queries, first, stride);
    float level = lse[query], mean = delta[query];
    FOR_ROW(i, keys) {
        float weight = expf(scores[start + i] - level);
        store(weights, start + i, weight);
        store(gradient, start + i, weight * (slopes[start + i] - mean) * scale);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The video autoencoder.

// What the taps of one output frame read of x (frames, inputs, rows, columns), for the output positions from `from`
// on: (inputs taps side side, positions). Frame `frame` of the input, which may be negative, lies under the first tap.
// blockIdx.y is the row.
template <class T>
__device__ void unroll(
    const T* x, T* out, int inputs, int taps, int side, int frame, int frames, int rows, int columns, int out_columns,
    i64 from, i64 positions, int before, int stride, int shift) {
    int area = side * side, line = blockIdx.y;
    int dx = line % side, dy = line / side % side, tap = line / area % taps, channel = line / (area * taps);
    int t = frame + tap;
    const T* plane = x + (static_cast<i64>(t) * inputs + channel) * rows * columns;
    FOR_EACH(i, positions) {
        int at_row = static_cast<int>((from + i) / out_columns) * stride + dy - before;
        int at_column = static_cast<int>((from + i) % out_columns) * stride + dx - before;
        bool inside = t >= 0 && t < frames && at_row >= 0 && at_column >= 0 && at_row >> shift < rows &&
                      at_column >> shift < columns;
        i64 at = inside ? static_cast<i64>(at_row >> shift) * columns + (at_column >> shift) : 0;
        store(out, line * positions + i, inside ? load(plane, at) : 0.0f);
    }
}

// Adds what one output frame asks of the input's frames under its taps to sums (frames, inputs, rows, columns): the values
// of unrolled (inputs taps side side, positions) go back to where `unroll` read them. For the `pixels` input positions of
// each frame from row `first_row` on, which are all that the output positions read. A thread an input position, which
// looks for its readers; so that no two write the same sum. blockIdx.y is the channel and tap.
extern "C" __global__ void fold(
    const float* unrolled, float* sums, int inputs, int taps, int side, int frame, int frames, int rows, int columns,
    int out_columns, i64 from, i64 positions, int before, int stride, int shift, int first_row, i64 pixels) {
    int tap = blockIdx.y % taps, channel = blockIdx.y / taps, area = side * side;
    int t = frame + tap;
    if (t < 0 || t >= frames) return;
    float* plane = sums + (static_cast<i64>(t) * inputs + channel) * rows * columns;
    const float* lines = unrolled + static_cast<i64>(blockIdx.y) * area * positions;
    FOR_EACH(i, pixels) {
        int row = first_row + static_cast<int>(i / columns), column = static_cast<int>(i % columns);
        float sum = 0.0f;
        for (int y = row << shift; y < (row + 1) << shift; y++) {
            for (int dy = 0; dy < side; dy++) {
                int out_row = (y + before - dy) / stride;
                // Rows outside the output are outside its positions.
                if (out_row * stride != y + before - dy) continue;
                for (int x = column << shift; x < (column + 1) << shift; x++) {
                    for (int dx = 0; dx < side; dx++) {
                        int out_column = (x + before - dx) / stride;
                        if (x + before < dx || out_column * stride != x + before - dx || out_column >= out_columns)
                            continue;
                        i64 at = static_cast<i64>(out_row) * out_columns + out_column - from;
                        if (at >= 0 && at < positions) sum += lines[(dy * side + dx) * positions + at];
                    }
                }
            }
        }
        plane[static_cast<i64>(row) * columns + column] += sum;
    }
}

// Sums of each channel of x (frames, channels, positions). A block a channel.
template <class T>
__device__ void channel_sums(const T* x, T* out, int frames, int channels, i64 positions) {
    i64 channel = blockIdx.x;
    float sum = 0.0f;
    for (int frame = 0; frame < frames; frame++) {
        i64 start = (static_cast<i64>(frame) * channels + channel) * positions;
        for (i64 i = threadIdx.x; i < positions; i += blockDim.x) sum += load(x, start + i);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) store(out, channel, sum);
}

// x / max(|x|, 1e-12) sqrt(channels) gain over the channels of each pixel of x (frames, channels, pixels), then perhaps
// x sigmoid(x). A thread a pixel, blockIdx.y the frame.
template <class T>
__device__ void channel_norm(const T* x, const float* gain, T* out, int channels, i64 pixels, int activate) {
    FOR_EACH(i, pixels) {
        i64 first = static_cast<i64>(blockIdx.y) * channels * pixels + i;
        float sum = 0.0f;
        for (int c = 0; c < channels; c++) {
            float value = load(x, first + c * pixels);
            sum += value * value;
        }
        float scale = sqrtf(static_cast<float>(channels)) / fmaxf(sqrtf(sum), 1e-12f);
        for (int c = 0; c < channels; c++) {
            float y = load(x, first + c * pixels) * scale * gain[c];
            store(out, first + c * pixels, activate ? y * sigmoid(y) : y);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The optimiser.

// sums[slot] = the sum of squares; one block, so that the order of the additions is always the same.
extern "C" __global__ void sum_of_squares(const float* x, float* sums, i64 count, int slot) {
    float sum = 0.0f;
    for (i64 i = threadIdx.x; i < count; i += blockDim.x) sum += x[i] * x[i];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) sums[slot] = sum;
}

// clip = (norm, factor): the root of all sums, and what shortens the gradients to `limit`; NaN where the norm is not
// finite. One block.
extern "C" __global__ void clip_factor(const float* sums, float* clip, int count, float limit) {
    float sum = 0.0f;
    FOR_ROW(i, count) sum += sums[i];
    float norm = sqrtf(sum_of_block(sum));
    if (threadIdx.x > 0) return;
    clip[0] = norm;
    clip[1] = norm <= 3.402823466e38f ? fminf(limit / (norm + 1e-6f), 1.0f) : __uint_as_float(0x7fc00000u);
}

// moments (2, count): running means of the clipped gradient and of its square; untouched where the factor is NaN.
extern "C" __global__ void adam_moments(
    float* moments, const float* gradient, const float* clip, i64 count, float towards_first, float keep_second,
    float towards_second) {
    float factor = clip[1];
    if (!(factor >= 0.0f)) return;
    FOR_EACH(i, count) {
        float g = gradient[i] * factor;
        moments[i] += (g - moments[i]) * towards_first;
        moments[count + i] = moments[count + i] * keep_second + g * g * towards_second;
    }
}

extern "C" __global__ void adam_step(
    float* values, const float* moments, const float* clip, i64 count, float keep, float step_size, float root_second,
    float epsilon) {
    if (!(clip[1] >= 0.0f)) return;
    FOR_EACH(i, count) {
        float root = sqrtf(moments[count + i]) / root_second + epsilon;
        values[i] = values[i] * keep - step_size * moments[i] / root;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Each kernel for both types of values.

#define FOR_TYPE(T, NAME)                                                                                             \
    extern "C" __global__ void layer_norm_##NAME(                                                                     \
        const T* x, const float* gain, const float* shift, T* out, int size, int sharing, float eps) {                \
        norm<true>(x, gain, shift, out, size, sharing, eps);                                                          \
    }                                                                                                                 \
    extern "C" __global__ void rms_norm_##NAME(                                                                       \
        const T* x, const float* gain, T* out, int size, int sharing, float eps) {                                    \
        norm<false>(x, gain, static_cast<const float*>(nullptr), out, size, sharing, eps);                            \
    }                                                                                                                 \
    extern "C" __global__ void layer_norm_input_gradient_##NAME(                                                      \
        const T* x, const float* gain, const T* gradient, T* out, int size, int sharing, float eps) {                 \
        norm_input_gradient<true>(x, gain, gradient, out, size, sharing, eps);                                        \
    }                                                                                                                 \
    extern "C" __global__ void rms_norm_input_gradient_##NAME(                                                        \
        const T* x, const float* gain, const T* gradient, T* out, int size, int sharing, float eps) {                 \
        norm_input_gradient<false>(x, gain, gradient, out, size, sharing, eps);                                       \
    }                                                                                                                 \
    extern "C" __global__ void layer_norm_moments_##NAME(const T* x, float* moments, int size, float eps) {           \
        norm_moments<true>(x, moments, size, eps);                                                                    \
    }                                                                                                                 \
    extern "C" __global__ void rms_norm_moments_##NAME(const T* x, float* moments, int size, float eps) {             \
        norm_moments<false>(x, moments, size, eps);                                                                   \
    }                                                                                                                 \
    extern "C" __global__ void norm_gain_gradient_##NAME(                                                             \
        const T* x, const float* moments, const T* gradient, float* gain, float* shift, int size, int sharing) {      \
        norm_gain_gradient(x, moments, gradient, gain, shift, size, sharing);                                         \
    }                                                                                                                 \
    extern "C" __global__ void gelu_##NAME(const T* x, T* out, i64 count) { gelu(x, out, count); }                    \
    extern "C" __global__ void gelu_gradient_##NAME(const T* x, const T* gradient, T* out, i64 count) {               \
        gelu_gradient(x, gradient, out, count);                                                                       \
    }                                                                                                                 \
    extern "C" __global__ void gated_##NAME(                                                                          \
        const T* x, const T* y, const float* gate, T* out, i64 count, int size, int sharing) {                        \
        gated(x, y, gate, out, count, size, sharing);                                                                 \
    }                                                                                                                 \
    extern "C" __global__ void gate_gradient_##NAME(                                                                  \
        const T* y, const T* gradient, float* out, int size, int sharing) {                                           \
        gate_gradient(y, gradient, out, size, sharing);                                                               \
    }                                                                                                                 \
    extern "C" __global__ void add_bias_##NAME(T* y, const T* bias, i64 count, i64 inner, int size) {                 \
        add_bias(y, bias, count, inner, size);                                                                        \
    }                                                                                                                 \
    extern "C" __global__ void narrow_##NAME(const float* x, T* out, i64 count) { narrow(x, out, count); }            \
    extern "C" __global__ void clear_##NAME(T* x, i64 count) { clear(x, count); }                                     \
    extern "C" __global__ void rope_##NAME(                                                                           \
        const T* x, const float* cosines, const float* sines, T* out, i64 count, int tokens, int heads, int pairs,    \
        float direction) {                                                                                            \
        rope(x, cosines, sines, out, count, tokens, heads, pairs, direction);                                         \
    }                                                                                                                 \
    extern "C" __global__ void softmax_##NAME(                                                                        \
        const float* scores, T* weights, float* lse, int keys, int queries, i64 first, i64 stride) {                  \
        softmax(scores, weights, lse, keys, queries, first, stride);                                                  \
    }                                                                                                                 \
    extern "C" __global__ void attention_delta_##NAME(                                                                \
        const T* out, const T* gradient, float* delta, int heads, int channels, i64 queries) {                        \
        attention_delta(out, gradient, delta, heads, channels, queries);                                              \
    }                                                                                                                 \
    extern "C" __global__ void softmax_gradient_##NAME(                                                               \
        const float* scores, const float* slopes, const float* lse, const float* delta, T* weights, T* gradient,      \
        int keys, int queries, i64 first, i64 stride, float scale) {                                                  \
        softmax_gradient(                                                                                             \
            scores, slopes, lse, delta, weights, gradient, keys, queries, first, stride, scale);                      \
    }                                                                                                                 \
    extern "C" __global__ void unroll_##NAME(                                                                         \
        const T* x, T* out, int inputs, int taps, int side, int frame, int frames, int rows, int columns,             \
        int out_columns, i64 from, i64 positions, int before, int stride, int shift) {                                \
        unroll(                                                                                                       \
            x, out, inputs, taps, side, frame, frames, rows, columns, out_columns, from, positions, before, stride,   \
            shift);                                                                                                   \
    }                                                                                                                 \
    extern "C" __global__ void channel_sums_##NAME(                                                                   \
        const T* x, T* out, int frames, int channels, i64 positions) {                                                \
        channel_sums(x, out, frames, channels, positions);                                                            \
    }                                                                                                                 \
    extern "C" __global__ void channel_norm_##NAME(                                                                   \
        const T* x, const float* gain, T* out, int channels, i64 pixels, int activate) {                              \
        channel_norm(x, gain, out, channels, pixels, activate);                                                       \
    }

FOR_TYPE(float, f32)
FOR_TYPE(bf16, bf16)
