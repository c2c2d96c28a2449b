// The taps of involution (eq. 3) on a CPU, stride 1, forward and backward; notebook 20 says what is computed and checks
// it against two other ways. Built when the package is installed, if there is a compiler; without it the package works,
// more slowly.
//
// The first half is for maps in the usual order, float32: sixteen pixels of a row are worked on at once, for eight
// channels that share their kernels, so that each kernel entry is loaded once for all of them. The second half is for
// channels last. Maps are copied into the middle of zeros, one group at a time; nothing is ever as large as K*K times
// the input.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 // v3 has avx2 and multiply-add
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif
#define INLINE inline __attribute__((always_inline))

namespace {

constexpr int LANES = 16, CHANNELS = 8;
typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef float Loose __attribute__((vector_size(4 * LANES), aligned(4)));

struct Shape { // of one group: c maps of h x w; p zeros around them, rows of `stride` floats; d between neighbouring taps
    int c, h, w, d, p, stride, rows;
    Shape(int c, int h, int w, int k, int d) : c(c), h(h), w(w), d(d), p(k / 2 * d), stride(w + 2 * p + LANES), rows(h + 2 * p) {}
    size_t at(int map, int row) const { return ((size_t)map * rows + row) * stride; }
};

// References, since a vector by value would be passed differently on each machine.
INLINE void load(Vec& v, const float* from) { v = *(const Loose*)from; }

INLINE void store(float* to, const Vec& v, int n) {
    if (n >= LANES) *(Loose*)to = v;
    else std::memcpy(to, &v, 4 * n);
}

void pad(std::vector<float>& to, const float* from, int maps, const Shape& s) {
    to.assign(s.at(maps, 0) + LANES, 0.f);
    for (int c = 0; c < maps; c++)
        for (int y = 0; y < s.h; y++) std::memcpy(&to[s.at(c, y + s.p) + s.p], from + ((size_t)c * s.h + y) * s.w, 4 * s.w);
}

template <int N, int K> INLINE void forward_block(const float* x, const float* weight, float* y, const Shape& s, int c, int row, int col) {
    Vec sum[N] = {}, k, v;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            load(k, weight + s.at(i * K + j, row + s.p) + col + s.p);
            for (int n = 0; n < N; n++) {
                load(v, x + s.at(c + n, row + i * s.d) + col + j * s.d);
                sum[n] += v * k;
            }
        }
    for (int n = 0; n < N; n++) store(y + ((size_t)(c + n) * s.h + row) * s.w + col, sum[n], s.w - col);
}

template <int N, int K> INLINE void input_block(const float* grad, const float* weight, float* grad_x, const Shape& s, int c, int row, int col) {
    Vec sum[N] = {}, k, v;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) { // the output pixels that looked here through tap (i, j)
            const int y = row + 2 * s.p - i * s.d, x = col + 2 * s.p - j * s.d;
            load(k, weight + s.at(i * K + j, y) + x);
            for (int n = 0; n < N; n++) {
                load(v, grad + s.at(c + n, y) + x);
                sum[n] += v * k;
            }
        }
    for (int n = 0; n < N; n++) store(grad_x + ((size_t)(c + n) * s.h + row) * s.w + col, sum[n], s.w - col);
}

template <int K> INLINE void weight_block(const float* x, const float* grad, float* grad_w, const Shape& s, int row, int col) {
    for (int i = 0; i < K; i++) {
        Vec sum[K] = {}, g, v;
        for (int c = 0; c < s.c; c++) {
            load(g, grad + s.at(c, row + s.p) + col + s.p);
            for (int j = 0; j < K; j++) {
                load(v, x + s.at(c, row + i * s.d) + col + j * s.d);
                sum[j] += g * v;
            }
        }
        for (int j = 0; j < K; j++) store(grad_w + ((size_t)(i * K + j) * s.h + row) * s.w + col, sum[j], s.w - col);
    }
}

template <int K> INLINE void forward_group(const float* x, const float* weight, float* y, const Shape& s) {
    for (int row = 0; row < s.h; row++)
        for (int col = 0; col < s.w; col += LANES) {
            int c = 0;
            for (; c + CHANNELS <= s.c; c += CHANNELS) forward_block<CHANNELS, K>(x, weight, y, s, c, row, col);
            for (; c < s.c; c++) forward_block<1, K>(x, weight, y, s, c, row, col);
        }
}

template <int K> INLINE void backward_group(const float* x, const float* weight, const float* grad, float* grad_x, float* grad_w, const Shape& s) {
    for (int row = 0; row < s.h; row++)
        for (int col = 0; col < s.w; col += LANES) {
            int c = 0;
            for (; c + CHANNELS <= s.c; c += CHANNELS) input_block<CHANNELS, K>(grad, weight, grad_x, s, c, row, col);
            for (; c < s.c; c++) input_block<1, K>(grad, weight, grad_x, s, c, row, col);
            weight_block<K>(x, grad, grad_w, s, row, col);
        }
}

// One function for each window, so that each is compiled for each kind of processor.
#define GROUP(K)                                                                                                                          \
    CLONES void forward_##K(const float* x, const float* w, float* y, const Shape& s) { forward_group<K>(x, w, y, s); }                     \
    CLONES void backward_##K(const float* x, const float* w, const float* g, float* gx, float* gw, const Shape& s) { backward_group<K>(x, w, g, gx, gw, s); }
GROUP(3)
GROUP(5)
GROUP(7)

// Channels last, float32 or bfloat16 (summed in float32 either way): x and y are b h w c, kernels are b h w (g k k).
// Sixteen channels of a pixel are worked on at once, for eight neighbouring pixels, which share most of what they see.

typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Half __attribute__((vector_size(2 * LANES)));
typedef uint16_t LooseHalf __attribute__((vector_size(2 * LANES), aligned(2)));
typedef float Eight __attribute__((vector_size(32)));
typedef float LooseEight __attribute__((vector_size(32), aligned(4)));
constexpr int TAPS = 64; // floats that a pixel's kernel of up to 7 x 7 gets, a multiple of LANES

INLINE void read(Vec& v, const float* from) { load(v, from); }
INLINE void read(Vec& v, const uint16_t* from) {
    v = (Vec)(__builtin_convertvector(*(const LooseHalf*)from, Bits) << 16);
}

INLINE float number(float x) { return x; }
INLINE float number(uint16_t x) {
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    std::memcpy(&y, &bits, 4);
    return y;
}

template <class T> INLINE void read(Vec& v, const T* from, int n) { // n numbers, then zeros
    if (n >= LANES) return read(v, from);
    T part[LANES] = {};
    std::memcpy(part, from, n * sizeof(T));
    read(v, part);
}

INLINE void write(float* to, const Vec& v, int n) { store(to, v, n); }
INLINE void write(uint16_t* to, const Vec& v, int n) { // rounded to the nearest, ties to even; NaN stays NaN
    Bits bits = (Bits)v;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    bits |= (Bits)(v != v) & 0x7fc0;
    const Half half = __builtin_convertvector(bits, Half);
    if (n >= LANES) *(LooseHalf*)to = half;
    else std::memcpy(to, &half, 2 * n);
}

// Of one group: c channels, in blocks of LANES, of h x w pixels; p zeros around them, rows filled to a multiple of four.
struct Last {
    int g, c, h, w, p, filled, cols, rows, blocks, wide;
    Last(int g, int c, int h, int w, int k) : g(g), c(c), h(h), w(w), p(k / 2) {
        filled = (w + 3) / 4 * 4, cols = filled + 2 * p, rows = h + 2 * p;
        blocks = (c + LANES - 1) / LANES, wide = blocks * LANES;
    }
    int64_t at(int block, int row, int col) const { return (((int64_t)block * rows + row) * cols + col) * LANES; }
    int64_t plane(int row, int channel) const { return ((int64_t)row * c + channel) * (cols + 8); }
    int64_t pixel(int row, int col) const { return (int64_t)row * w + col; }
    int left(int block) const { return c - block * LANES; } // channels from this block on
};

struct Room { // for one group, in float32; the zeros around the maps are written once
    std::vector<float> x, kernels, planes, grad, grad_x;
    Room(const Last& s, bool backward) : x(s.at(s.blocks, 0, 0)), kernels(s.filled * TAPS) {
        if (backward) planes.resize(s.plane(s.rows, 0)), grad.resize(s.filled * s.wide), grad_x.resize(x.size());
    }
};

template <class T> INLINE void unpack_map(float* to, const T* from, const Last& s) {
    Vec v;
    for (int block = 0; block < s.blocks; block++)
        for (int row = 0; row < s.h; row++)
            for (int col = 0; col < s.w; col++) {
                read(v, from + s.pixel(row, col) * s.g * s.c + block * LANES, s.left(block));
                store(to + s.at(block, row + s.p, col + s.p), v, LANES);
            }
}

template <int K, class T> INLINE void unpack_kernels(float* to, const T* from, int row, const Last& s) {
    Vec v;
    for (int col = 0; col < s.w; col++, to += TAPS) {
        const T* taps = from + s.pixel(row, col) * s.g * K * K;
        int i = 0;
        for (; i + LANES <= K * K; i += LANES) {
            read(v, taps + i);
            store(to + i, v, LANES);
        }
        for (; i < K * K; i++) to[i] = number(taps[i]); // a copy that is read again at once would stall
    }
}

// N pixels of a row, from what they see
template <int N, int K, class T>
INLINE void last_forward(const float* x, const float* kernels, T* y, const Last& s, int block, int row, int col) {
    Vec sum[N] = {}, v;
    for (int i = 0; i < K; i++) {
        const float *seen = x + s.at(block, row + i, col), *taps = kernels + col * TAPS + i * K;
#pragma GCC unroll 8
        for (int j = 0; j < K; j++)
#pragma GCC unroll 8
            for (int n = 0; n < N; n++) {
                load(v, seen + (j + n) * LANES);
                sum[n] += v * taps[n * TAPS + j];
            }
    }
    for (int n = 0; n < N && col + n < s.w; n++)
        write(y + s.pixel(row, col + n) * s.g * s.c + block * LANES, sum[n], s.left(block));
}

// The gradient of N pixels, spread over what they saw
template <int N, int K>
INLINE void last_input(const float* grad, const float* kernels, float* grad_x, const Last& s, int block, int row,
                       int col) {
    Vec g[N], v;
    for (int n = 0; n < N; n++) load(g[n], grad + (col + n) * s.wide + block * LANES);
    for (int i = 0; i < K; i++) {
        const float* taps = kernels + col * TAPS + i * K;
        float* seen = grad_x + s.at(block, row + i, col);
#pragma GCC unroll 16
        for (int q = 0; q < N + K - 1; q++) {
            load(v, seen + q * LANES);
#pragma GCC unroll 8
            for (int n = 0; n < N; n++)
                if (n <= q && q < n + K) v += g[n] * taps[n * TAPS + q - n];
            store(seen + q * LANES, v, LANES);
        }
    }
}

// The gradient of two pixels' kernels, a row of taps at once, from planes of single channels
template <int K>
INLINE void last_weight(const float* planes, const float* grad, float* grad_w, const Last& s, int row, int col) {
    Eight sum[2][K] = {};
    for (int c = 0; c < s.c; c++) {
        const float *seen = planes + s.plane(row, c) + col, *g = grad + col * s.wide + c, first = g[0], second = g[s.wide];
#pragma GCC unroll 8
        for (int i = 0; i < K; i++, seen += s.plane(1, 0)) {
            sum[0][i] += *(const LooseEight*)seen * first;
            sum[1][i] += *(const LooseEight*)(seen + 1) * second;
        }
    }
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < K; i++) *(LooseEight*)(grad_w + (col + n) * TAPS + i * K) = sum[n][i];
}

template <int K, class T> INLINE void last_forward_group(const T* x, const T* weight, T* y, Room& r, const Last& s) {
    const float *px = r.x.data(), *kernels = r.kernels.data();
    unpack_map(r.x.data(), x, s);
    for (int row = 0; row < s.h; row++) {
        unpack_kernels<K>(r.kernels.data(), weight, row, s);
        for (int block = 0; block < s.blocks; block++) {
            int col = 0;
            for (; col + 8 <= s.filled; col += 8) last_forward<8, K>(px, kernels, y, s, block, row, col);
            if (col < s.filled) last_forward<4, K>(px, kernels, y, s, block, row, col);
        }
    }
}

template <int K, class T>
INLINE void last_backward_group(const T* x, const T* weight, const T* grad, T* grad_x, T* grad_w, Room& r,
                                const Last& s) {
    Vec v;
    float *gx = r.grad_x.data(), *g = r.grad.data(), *kernels = r.kernels.data();
    unpack_map(r.x.data(), x, s);
    for (int block = 0; block < s.blocks; block++)
        for (int row = s.p; row < s.p + s.h; row++)
            for (int col = s.p; col < s.p + s.w; col++) {
                const float* from = &r.x[s.at(block, row, col)];
                float* to = &r.planes[s.plane(row, block * LANES) + col];
                for (int c = 0; c < std::min(LANES, s.left(block)); c++) to[c * s.plane(0, 1)] = from[c];
            }
    std::fill(r.grad_x.begin(), r.grad_x.end(), 0.f);
    for (int row = 0; row < s.h; row++) {
        unpack_kernels<K>(kernels, weight, row, s);
        for (int block = 0; block < s.blocks; block++) {
            for (int col = 0; col < s.w; col++) {
                read(v, grad + s.pixel(row, col) * s.g * s.c + block * LANES, s.left(block));
                store(g + col * s.wide + block * LANES, v, LANES);
            }
            int col = 0;
            for (; col + 8 <= s.filled; col += 8) last_input<8, K>(g, kernels, gx, s, block, row, col);
            if (col < s.filled) last_input<4, K>(g, kernels, gx, s, block, row, col);
        }
        // the row's kernels have done their work; their gradients take their place
        for (int col = 0; col < s.w; col += 2) last_weight<K>(r.planes.data(), g, kernels, s, row, col);
        for (int col = 0; col < s.w; col++)
            for (int i = 0; i < K * K; i += LANES) {
                load(v, kernels + col * TAPS + i);
                write(grad_w + s.pixel(row, col) * s.g * K * K + i, v, K * K - i);
            }
    }
    for (int block = 0; block < s.blocks; block++)
        for (int row = 0; row < s.h; row++)
            for (int col = 0; col < s.w; col++) {
                load(v, gx + s.at(block, row + s.p, col + s.p));
                write(grad_x + s.pixel(row, col) * s.g * s.c + block * LANES, v, s.left(block));
            }
}

#define LAST(T)                                                                                                        \
    CLONES void forward_last(int k, const T* x, const T* w, T* y, Room& r, const Last& s) {                            \
        if (k == 3) last_forward_group<3>(x, w, y, r, s);                                                              \
        else if (k == 5) last_forward_group<5>(x, w, y, r, s);                                                         \
        else last_forward_group<7>(x, w, y, r, s);                                                                     \
    }                                                                                                                  \
    CLONES void backward_last(int k, const T* x, const T* w, const T* g, T* gx, T* gw, Room& r, const Last& s) {       \
        if (k == 3) last_backward_group<3>(x, w, g, gx, gw, r, s);                                                     \
        else if (k == 5) last_backward_group<5>(x, w, g, gx, gw, r, s);                                                \
        else last_backward_group<7>(x, w, g, gx, gw, r, s);                                                            \
    }
LAST(float)
LAST(uint16_t)

template <class Work> void each_group(int64_t n, const Last& s, bool backward, Work work) {
#pragma omp parallel
    {
        Room room(s, backward);
#pragma omp for
        for (int64_t i = 0; i < n * s.g; i++) // a group's place in front: the pixels before it, times groups
            work(i / s.g * s.h * s.w * s.g + i % s.g, room);
    }
}

} // namespace

// x, y: n groups of c maps of h x w; weight: n groups of k*k maps of h x w. k is 3, 5 or 7.
extern "C" void involution_forward(const float* x, const float* weight, float* y, int64_t n, int c, int h, int w, int k, int d) {
    const Shape s(c, h, w, k, d);
    const auto group = k == 3 ? forward_3 : k == 5 ? forward_5 : forward_7;
    const int64_t map = (int64_t)h * w;
#pragma omp parallel
    {
        std::vector<float> px, pw;
#pragma omp for
        for (int64_t i = 0; i < n; i++) {
            pad(px, x + i * c * map, c, s);
            pad(pw, weight + i * k * k * map, k * k, s);
            group(px.data(), pw.data(), y + i * c * map, s);
        }
    }
}

extern "C" void involution_backward(const float* x, const float* weight, const float* grad, float* grad_x, float* grad_w, int64_t n, int c, int h, int w, int k, int d) {
    const Shape s(c, h, w, k, d);
    const auto group = k == 3 ? backward_3 : k == 5 ? backward_5 : backward_7;
    const int64_t map = (int64_t)h * w;
#pragma omp parallel
    {
        std::vector<float> px, pw, pg;
#pragma omp for
        for (int64_t i = 0; i < n; i++) {
            pad(px, x + i * c * map, c, s);
            pad(pw, weight + i * k * k * map, k * k, s);
            pad(pg, grad + i * c * map, c, s);
            group(px.data(), pw.data(), pg.data(), grad_x + i * c * map, grad_w + i * k * k * map, s);
        }
    }
}

// Channels last: n images of g groups of c channels, in float32 or bfloat16. k is 3, 5 or 7.
#define EXTERN(NAME, T)                                                                                                \
    extern "C" void involution_forward_##NAME(const T* x, const T* weight, T* y, int64_t n, int g, int c, int h,       \
                                              int w, int k) {                                                          \
        const Last s(g, c, h, w, k);                                                                                   \
        each_group(n, s, false, [&](int64_t at, Room& room) {                                                          \
            forward_last(k, x + at * c, weight + at * k * k, y + at * c, room, s);                                     \
        });                                                                                                            \
    }                                                                                                                  \
    extern "C" void involution_backward_##NAME(const T* x, const T* weight, const T* grad, T* grad_x, T* grad_w,       \
                                               int64_t n, int g, int c, int h, int w, int k) {                         \
        const Last s(g, c, h, w, k);                                                                                   \
        each_group(n, s, true, [&](int64_t at, Room& room) {                                                           \
            backward_last(k, x + at * c, weight + at * k * k, grad + at * c, grad_x + at * c, grad_w + at * k * k,     \
                          room, s);                                                                                    \
        });                                                                                                            \
    }
EXTERN(float32, float)
EXTERN(bfloat16, uint16_t)
