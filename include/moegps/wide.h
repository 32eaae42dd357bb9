/** wide.h: loops that are as wide as the CPU's vectors.
 *
 *  MOE_WIDE before a function makes clones of it for wider vectors, so that the
 *  build is not tied to one machine. Clang and other systems than Linux have no
 *  such clones; sanitizers cannot run before they are chosen.
 */
#ifndef MOEGPS_WIDE_H
#define MOEGPS_WIDE_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define MOE_WIDE    \
    __attribute__(( \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOE_WIDE
#endif

/* Before helpers of such a function, which must be part of its clones. */
#define MOE_WITHIN static inline __attribute__((always_inline))

#endif
