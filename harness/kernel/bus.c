/* SPDX-License-Identifier: Apache-2.0
 *
 * bus.c - the virtual CAN buses. Every frame waits in `later` until its release, then in `ready` until it wins the bus.
 */
#include <string.h>

#include "bus.h"
#include "wire.h"

enum { NS_PER_S = 1000000000 };

/* ---- heap ---------------------------------------------------------------------------------------------------- */

static inline int before(const bh_waiting *a, const bh_waiting *b) {
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void push(bh_heap *heap, bh_waiting entry) {
    int32_t at = heap->n++;
    while (at > 0) {
        const int32_t parent = (at - 1) / 2;
        if (!before(&entry, &heap->entries[parent])) {
            break;
        }
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = entry;
}

static bh_waiting pop(bh_heap *heap) {
    const bh_waiting top = heap->entries[0];
    const bh_waiting last = heap->entries[--heap->n];
    int32_t at = 0;
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= heap->n) {
            break;
        }
        if (child + 1 < heap->n && before(&heap->entries[child + 1], &heap->entries[child])) {
            child++;
        }
        if (!before(&heap->entries[child], &last)) {
            break;
        }
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = last;
    return top;
}

bh_waiting bh_bus_take_ready(bh_bus *bus, int32_t at) {
    bh_heap *heap = &bus->ready;
    const bh_waiting taken = heap->entries[at];
    const int32_t n = heap->n;
    heap->n = at;
    for (int32_t i = at + 1; i < n; i++) {
        push(heap, heap->entries[i]); /* pushing never overtakes reading */
    }
    return taken;
}

void bh_bus_push_ready(bh_bus *bus, uint32_t slot, uint32_t order) {
    push(&bus->ready, (bh_waiting){bh_arbitration_key(&bus->slots[slot].frame), order, slot});
}

/* ---- layout -------------------------------------------------------------------------------------------------- */

static void create_one(bh_arena *arena, bh_bus *bus) {
    bh_slot *slots = bh_take(arena, BH_BUS_SLOTS * sizeof *slots);
    uint16_t *unused = bh_take(arena, BH_BUS_SLOTS * sizeof *unused);
    bh_waiting *ready = bh_take(arena, BH_BUS_SLOTS * sizeof *ready);
    bh_waiting *later = bh_take(arena, BH_BUS_SLOTS * sizeof *later);
    if (bus == NULL) {
        return;
    }
    bus->slots = slots;
    bus->free = unused;
    bus->ready.entries = ready;
    bus->later.entries = later;
    bus->n_free = BH_BUS_SLOTS;
    for (int i = 0; i < BH_BUS_SLOTS; i++) {
        bus->free[i] = (uint16_t)(BH_BUS_SLOTS - 1 - i);
    }
    bus->current = -1;
    bus->ended = -1;
    bus->rival = -1;
}

void bh_bus_create(bh_arena *arena, bh_buses *buses, const bh_bus_config *config, uint32_t tick_us) {
    buses->n = config->n_buses;
    buses->tables = bh_take(arena, sizeof *buses->tables);
    buses->bus = bh_take(arena, (size_t)config->n_buses * sizeof *buses->bus);
    buses->dut_state = bh_take(arena, (size_t)config->n_buses);
    bh_outlet_create(arena, &buses->outlet);
    for (int32_t i = 0; i < config->n_buses; i++) {
        create_one(arena, arena->base == NULL ? NULL : &buses->bus[i]);
    }
    if (arena->base == NULL) {
        return;
    }
    bh_bits_init(buses->tables);
    buses->bitrate = config->bitrate;
    buses->data_bitrate = config->data_bitrate != 0 ? config->data_bitrate : config->bitrate;
    buses->intermission_ns = (uint64_t)BH_INTERMISSION_BITS * NS_PER_S / config->bitrate;
    const int32_t ticks = (int32_t)(BH_LOAD_WINDOW_US / tick_us);
    buses->n_load = ticks < 1 ? 1 : ticks > BH_MAX_LOAD_SLOTS ? BH_MAX_LOAD_SLOTS : ticks;
    buses->load_per_ns = 1.0 / ((double)buses->n_load * tick_us * 1000.0);
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

int bh_bus_room(const bh_buses *buses) {
    int room = BH_BUS_SLOTS;
    for (int32_t i = 0; i < buses->n; i++) {
        room = buses->bus[i].n_free < room ? buses->bus[i].n_free : room;
    }
    return room;
}

void bh_frame_copy(fil_frame *to, const fil_frame *from) {
    memcpy(to, from, offsetof(fil_frame, data));
    to->reserved = 0;
    if (from->length == 8) {
        memcpy(to->data, from->data, 8);
        return;
    }
    memset(to->data, 0, from->length < 8 ? 8 : sizeof to->data);
    memcpy(to->data, from->data, from->length);
}

int bh_bus_queue(bh_buses *buses, const fil_frame *frame, uint8_t node, uint64_t release_ns) {
    return buses->planned ? bh_wire_queue(buses, frame, node, release_ns)
                          : bh_bus_put(buses, frame, node, -1, release_ns);
}

int bh_bus_put(bh_buses *buses, const fil_frame *frame, uint8_t node, int16_t source, uint64_t release_ns) {
    bh_bus *bus = &buses->bus[frame->bus];
    if (bus->disturbed && bus->node[node].state == BH_BUS_OFF) {
        return 0;
    }
    if (bus->n_free == 0) {
        return -1;
    }
    const uint16_t slot = bus->free[--bus->n_free];
    bh_frame_copy(&bus->slots[slot].frame, frame);
    bus->slots[slot].node = node;
    bus->slots[slot].source = source;
    push(&bus->later, (bh_waiting){release_ns, bus->order++, slot});
    if ((buses->outlet.nodes >> node & 1U) != 0) {
        bh_outlet_put(&buses->outlet, &bus->slots[slot].frame, node, release_ns);
    }
    for (int32_t i = 0; i < buses->n_peers && node < BH_NODE_FOREIGN; i++) {
        (void)bh_bus_put(buses->peers[i], frame, BH_NODE_PEER, -1, release_ns);
    }
    return 0;
}

void bh_bus_release(bh_buses *buses, bh_bus *bus, uint32_t slot) {
    if (bus->slots[slot].source >= 0) {
        bh_foreign_sent(buses->wire, bus->slots[slot].source);
    }
    bus->free[bus->n_free++] = (uint16_t)slot;
}

static void drop_from(bh_buses *buses, bh_bus *bus, bh_heap *heap, uint8_t node) {
    const int32_t n = heap->n;
    heap->n = 0;
    for (int32_t i = 0; i < n; i++) {
        const bh_waiting entry = heap->entries[i]; /* pushing never overtakes reading */
        if (bus->slots[entry.slot].node == node) {
            bh_bus_release(buses, bus, entry.slot);
        } else {
            push(heap, entry);
        }
    }
}

void bh_bus_drop_waiting(bh_buses *buses, bh_bus *bus, uint8_t node) {
    drop_from(buses, bus, &bus->ready, node);
    drop_from(buses, bus, &bus->later, node);
}

void bh_bus_drop_node(bh_buses *buses, uint8_t node, uint64_t now_ns) {
    bh_wire_drop_held(buses->wire, node);
    for (int32_t i = 0; i < buses->n; i++) {
        bh_bus *bus = &buses->bus[i];
        bh_bus_drop_waiting(buses, bus, node);
        if (bus->rival >= 0 && bus->slots[bus->rival].node == node) {
            bh_bus_release(buses, bus, (uint32_t)bus->rival);
            bus->rival = -1;
        }
        if (bus->current >= 0 && bus->slots[bus->current].node == node) {
            bh_bus_release(buses, bus, (uint32_t)bus->current);
            bus->current = -1;
            if (bus->rival >= 0) {
                bh_bus_push_ready(bus, (uint32_t)bus->rival, bus->rival_order);
                bus->rival = -1;
            }
            bus->used_ns -= bus->idle_ns > now_ns ? bus->idle_ns - now_ns : 0;
            bus->idle_ns = now_ns;
        }
    }
}

/* ---- time ---------------------------------------------------------------------------------------------------- */

uint64_t bh_bits_ns(const bh_buses *buses, uint64_t bits) {
    return bits * (uint64_t)NS_PER_S / buses->bitrate;
}

uint64_t bh_frame_ns(const bh_buses *buses, const fil_frame *frame) {
    const bh_bit_count bits = bh_bits_count(buses->tables, frame);
    uint64_t ns = bits.nominal * (uint64_t)NS_PER_S / buses->bitrate;
    if (bits.data != 0) {
        ns += bits.data * (uint64_t)NS_PER_S / buses->data_bitrate;
    }
    return ns;
}

static void release_until(bh_bus *bus, uint64_t at_ns) {
    while (bus->later.n > 0 && bus->later.entries[0].key <= at_ns) {
        bh_waiting entry = pop(&bus->later);
        entry.key = bh_arbitration_key(&bus->slots[entry.slot].frame);
        push(&bus->ready, entry);
    }
}

static int same_identifier_waits(const bh_bus *bus, bh_waiting entry) {
    return bus->ready.n > 0 && bus->ready.entries[0].key == entry.key;
}

static void begin(bh_buses *buses, bh_bus *bus, bh_waiting entry, uint64_t at_ns) {
    bus->current = (int32_t)entry.slot;
    bus->current_order = entry.order;
    bus->cause = 0;
    bus->troubled = bus->disturbed || buses->planned || same_identifier_waits(bus, entry);
    bus->end_ns = at_ns + (bus->troubled ? bh_attempt_begin(buses, bus, at_ns)
                                         : bh_frame_ns(buses, &bus->slots[bus->current].frame));
    bus->idle_ns = bus->end_ns + buses->intermission_ns;
    bus->used_ns += bus->idle_ns - at_ns;
}

/* As start, but senders that have just failed while error passive keep silent for a while. */
static void start_disturbed(bh_buses *buses, bh_bus *bus, uint64_t until_ns) {
    uint64_t at_ns = bus->idle_ns;
    while (at_ns < until_ns) {
        release_until(bus, at_ns);
        int32_t best = -1;
        uint64_t next_ns = bus->later.n > 0 ? bus->later.entries[0].key : UINT64_MAX;
        for (int32_t i = 0; i < bus->ready.n; i++) {
            const uint64_t silent_ns = bus->node[bus->slots[bus->ready.entries[i].slot].node].silent_ns;
            if (silent_ns > at_ns) {
                next_ns = silent_ns < next_ns ? silent_ns : next_ns;
            } else if (best < 0 || before(&bus->ready.entries[i], &bus->ready.entries[best])) {
                best = i;
            }
        }
        if (best >= 0) {
            begin(buses, bus, bh_bus_take_ready(bus, best), at_ns);
            return;
        }
        at_ns = next_ns;
    }
}

/* Put the winner on an idle bus, unless its start lies at or after until_ns: others may still join the arbitration. */
static void start(bh_buses *buses, bh_bus *bus, uint64_t until_ns) {
    if (buses->planned && buses->wire->n_sources > 0) {
        bh_foreign_supply(buses, bus, until_ns);
    }
    if (bus->disturbed) {
        start_disturbed(buses, bus, until_ns);
        return;
    }
    uint64_t at_ns = bus->idle_ns;
    if (bus->ready.n == 0) {
        if (bus->later.n == 0) {
            return;
        }
        at_ns = bus->later.entries[0].key > at_ns ? bus->later.entries[0].key : at_ns;
    }
    if (at_ns >= until_ns) {
        return;
    }
    release_until(bus, at_ns);
    begin(buses, bus, pop(&bus->ready), at_ns);
}

const bh_slot *bh_bus_next(bh_buses *buses, uint64_t until_ns, uint64_t *end_ns) {
    bh_bus *first = NULL;
    for (int32_t i = 0; i < buses->n; i++) {
        bh_bus *bus = &buses->bus[i];
        if (bus->ended >= 0) {
            bh_bus_release(buses, bus, (uint32_t)bus->ended);
            bus->ended = -1;
        }
        if (bus->current < 0) {
            start(buses, bus, until_ns);
        }
        if (bus->current >= 0 && bus->end_ns <= until_ns && (first == NULL || bus->end_ns < first->end_ns)) {
            first = bus;
        }
    }
    if (first == NULL) {
        return NULL;
    }
    *end_ns = first->end_ns;
    if (first->troubled || first->disturbed) {
        return bh_attempt_end(buses, first);
    }
    first->ended = first->current;
    first->current = -1;
    return &first->slots[first->ended];
}

void bh_bus_tick(bh_buses *buses, uint64_t now_ns) {
    for (int32_t i = 0; i < buses->n; i++) {
        bh_bus *bus = &buses->bus[i];
        if (bus->disturbed) {
            bh_confine_tick(buses, bus, now_ns);
        }
        const uint64_t ahead_ns = bus->idle_ns > now_ns ? bus->idle_ns - now_ns : 0;
        const uint64_t used_ns = bus->used_ns - ahead_ns;
        bus->window_ns += used_ns - bus->per_tick_ns[bus->load_at];
        bus->per_tick_ns[bus->load_at] = used_ns;
        bus->load_at = bus->load_at + 1 == buses->n_load ? 0 : bus->load_at + 1;
        bus->used_ns = ahead_ns;
    }
}

double bh_bus_load_at(const bh_buses *buses, int32_t bus) {
    return (double)buses->bus[bus].window_ns * buses->load_per_ns;
}

double bh_bus_load(const bh_buses *buses) {
    return bh_bus_load_at(buses, 0);
}
