/** layout.h: how GPUs sit in nodes and experts have their homes. */
#ifndef MOEGPS_LAYOUT_H
#define MOEGPS_LAYOUT_H

typedef struct moe_layout {
    int gpus;          /* >= 1 */
    int gpus_per_node; /* >= 1; GPU g is on node g / gpus_per_node */
} moe_layout;

static inline int moe_layout_node(const moe_layout *layout, int gpu)
{
    return gpu / layout->gpus_per_node;
}

static inline int moe_layout_nodes(const moe_layout *layout)
{
    return (layout->gpus + layout->gpus_per_node - 1) / layout->gpus_per_node;
}

/* Homes are contiguous blocks of floor or ceil(E/G) experts, larger blocks
 * first; with G > E the last GPUs have none. */
static inline int moe_layout_home_first(const moe_layout *layout, int experts,
                                        int gpu)
{
    int base = experts / layout->gpus, extra = experts % layout->gpus;
    return gpu * base + (gpu < extra ? gpu : extra);
}

static inline int moe_layout_home_count(const moe_layout *layout, int experts,
                                        int gpu)
{
    return moe_layout_home_first(layout, experts, gpu + 1) -
           moe_layout_home_first(layout, experts, gpu);
}

/** @return slots that the home placement needs on every GPU. */
static inline int moe_layout_home_slots(const moe_layout *layout, int experts)
{
    return (experts + layout->gpus - 1) / layout->gpus;
}

#endif
