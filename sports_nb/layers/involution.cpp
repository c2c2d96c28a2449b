// The taps of involution (eq. 3) for float32 on a CPU, stride 1, forward and backward; notebook 20 says what is computed and checks it
// against two other ways. Built when the package is installed, if there is a compiler; without it the package works, more slowly.
//
// Sixteen pixels of a row are worked on at once, for eight channels that share their kernels, so that each kernel entry is loaded once for
// all of them. Maps are copied into the middle of zeros, one group at a time; nothing is ever as large as K*K times the input.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
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
