/** wide.h: loops that are as wide as the CPU's vectors.
 *
 *  MOE_WIDE before a function makes clones of it for wider vectors, so that the
 *  build is not tied to one machine. Clang and other systems than Linux have no
 *  such clones; sanitizers cannot run before they are chosen.
 *
 *  Clones of MOE_WIDE may fuse a product with a sum, and so differ by its
 *  rounding from CPU to CPU. Those of MOE_WIDE_EXACT give the same bits on all:
 *  for what decides, as a plan does.
 */
#ifndef MOEGPS_WIDE_H
#define MOEGPS_WIDE_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define MOE_WIDE    \
    __attribute__(( \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define MOE_WIDE_EXACT __attribute__((target_clones("avx2", "default")))
#else
#define MOE_WIDE
#define MOE_WIDE_EXACT
#endif

/* Before helpers of such a function, which must be part of its clones. */
#define MOE_WITHIN static inline __attribute__((always_inline))

#endif
