/* SPDX-License-Identifier: Apache-2.0
 *
 * attempt.c - attempts to send that may fail: errors on the wire, nobody to acknowledge, two senders of one identifier.
 *
 * A failed attempt ends in an error flag of 6 bits and a delimiter of 8. The flag of an error passive sender is
 * recessive: error active receivers answer it with theirs, 6 bits more. How flags of several nodes overlap (up to 6
 * bits more) is not followed. Then both the frame and its place in the queue are as before.
 */
#include <string.h>

#include "bus.h"
#include "wire.h"

enum {
    NS_PER_S = 1000000000,
    FLAG_BITS = 6,
    DELIMITER_BITS = 8,
    SUSPEND_BITS = 8,
    AFTER_DATA_BITS = 9, /* acknowledge slot, its delimiter, end of frame: nominal bit rate again */
    AFTER_ACK_BITS = 8,  /* acknowledge delimiter, end of frame */
    END_OF_FRAME_BITS = 7,
    TEC_PER_ERROR = 8,
    REC_OF_FINDER = 8 /* more, for the receiver that sent the first error flag */
};

/* Time from the start of a frame to the end of so many of its bits, the data phase at its own rate. */
static uint64_t part_ns(const bh_buses *buses, const fil_frame *frame, uint64_t bits) {
    const bh_bit_count count = bh_bits_count(buses->tables, frame);
    const uint64_t head = count.nominal - AFTER_DATA_BITS;
    if (count.data == 0 || bits <= head) {
        return bh_bits_ns(buses, bits);
    }
    const uint64_t data = bits - head < count.data ? bits - head : count.data;
    return bh_bits_ns(buses, bits - data) + data * NS_PER_S / buses->data_bitrate;
}

static uint64_t error_frame_ns(const bh_buses *buses, int echoed) {
    return bh_bits_ns(buses, FLAG_BITS + (echoed ? FLAG_BITS : 0) + DELIMITER_BITS);
}

/* ---- two senders of one identifier --------------------------------------------------------------------------- */

/* The next frame with the same identifier from another node that may begin now, as an index into the ready ones. */
static int32_t find_rival(const bh_bus *bus, uint64_t at_ns) {
    const bh_slot *slot = &bus->slots[bus->current];
    const uint64_t key = bh_arbitration_key(&slot->frame);
    int32_t found = -1;
    for (int32_t i = 0; i < bus->ready.n; i++) {
        const bh_waiting *entry = &bus->ready.entries[i];
        const uint8_t node = bus->slots[entry->slot].node;
        if (entry->key == key && node != slot->node && bus->node[node].silent_ns <= at_ns &&
            (found < 0 || entry->order < bus->ready.entries[found].order)) {
            found = i;
        }
    }
    return found;
}

/* Both begin at once. Returns the bit from 1 at which one reads back another than it sent and destroys the frame; 0
 * when the frame goes on: both are equal, or only an error passive sender noticed. */
static uint32_t collide(bh_buses *buses, bh_bus *bus, int32_t found, uint64_t at_ns) {
    uint8_t own[BH_STREAM_BITS];
    uint8_t other[BH_STREAM_BITS];
    const bh_waiting taken = bh_bus_take_ready(bus, found);
    const uint32_t n = bh_bits_stream(&bus->slots[bus->current].frame, own);
    const uint32_t m = bh_bits_stream(&bus->slots[taken.slot].frame, other);
    uint32_t bit = 0;
    while (bit < n && bit < m && own[bit] == other[bit]) {
        bit++;
    }
    bus->rival = (int32_t)taken.slot;
    bus->rival_order = taken.order;
    if (bit == n || bit == m) {
        return 0;
    }
    const int own_recessive = own[bit] != 0;
    const uint8_t loser = bus->slots[own_recessive ? bus->current : bus->rival].node;
    if (bus->node[loser].state == BH_ERROR_ACTIVE) {
        bus->cause = BH_CAUSE_COLLISION;
        return bit + 1;
    }
    if (own_recessive) {
        bus->rival = bus->current;
        bus->rival_order = bus->current_order;
        bus->current = (int32_t)taken.slot;
        bus->current_order = taken.order;
    }
    bh_bus_push_ready(bus, (uint32_t)bus->rival, bus->rival_order);
    bus->rival = -1;
    bh_confine_count(buses, bus, loser, TEC_PER_ERROR, 0, at_ns);
    return 0;
}

/* ---- one attempt --------------------------------------------------------------------------------------------- */

static uint8_t receiver_of(uint8_t sender) {
    return sender == BH_NODE_DUT ? BH_NODE_VEHICLE : BH_NODE_DUT;
}

/* Bits of the attempt until an error flag begins; 0 = the frame goes through. */
static uint32_t bits_before_error(bh_buses *buses, bh_bus *bus, uint64_t at_ns, int listeners) {
    bh_slot *slot = &bus->slots[bus->current];
    const bh_bit_count count = bh_bits_count(buses->tables, &slot->frame);
    const uint32_t total = count.nominal + count.data;
    const uint8_t receiver = receiver_of(slot->node);
    const uint8_t receiver_state =
        receiver == BH_NODE_DUT && !buses->dut_on ? BH_BUS_OFF : bus->node[receiver].state;
    const bh_attempt planned = bh_wire_attempt(buses, slot, at_ns, total - AFTER_DATA_BITS - 1, receiver_state);
    if (planned.cause == BH_CAUSE_BIT) {
        bus->cause = BH_CAUSE_BIT;
        return planned.bit;
    }
    if (listeners == 0 || planned.cause == BH_CAUSE_ACKNOWLEDGE) {
        bus->cause = BH_CAUSE_ACKNOWLEDGE;
        return total - AFTER_ACK_BITS;
    }
    if (planned.cause == BH_CAUSE_CHECKSUM && receiver_state == BH_ERROR_ACTIVE) {
        bus->cause = BH_CAUSE_CHECKSUM;
        return total - END_OF_FRAME_BITS;
    }
    if (planned.cause == BH_CAUSE_CHECKSUM) { /* the flag of a passive receiver disturbs nobody */
        bh_confine_count(buses, bus, receiver, 0, 1, at_ns);
        slot->frame.flags |= BH_FRAME_UNHEARD;
    }
    return 0;
}

uint64_t bh_attempt_begin(bh_buses *buses, bh_bus *bus, uint64_t at_ns) {
    int active;
    bus->rival = -1;
    bh_confine_frame_starts(buses, bus, at_ns);
    const int32_t found = find_rival(bus, at_ns);
    uint32_t bits = found >= 0 ? collide(buses, bus, found, at_ns) : 0;
    const bh_slot *slot = &bus->slots[bus->current];
    const int listeners = bh_confine_listeners(buses, bus, slot->node, &active);
    if (bits == 0 && bus->rival < 0) {
        bits = bits_before_error(buses, bus, at_ns, listeners);
    }
    if (bus->cause == 0) {
        return bh_frame_ns(buses, &slot->frame);
    }
    const int echoed = bus->cause == BH_CAUSE_BIT && active && bus->node[slot->node].state == BH_ERROR_PASSIVE;
    return part_ns(buses, &slot->frame, bits) + error_frame_ns(buses, echoed);
}

/* ---- its end ------------------------------------------------------------------------------------------------- */

static void suspend(bh_buses *buses, bh_bus *bus, uint8_t sender) {
    if (bus->node[sender].state == BH_ERROR_PASSIVE) {
        bus->node[sender].silent_ns = bus->idle_ns + bh_bits_ns(buses, SUSPEND_BITS);
    }
}

static const bh_slot *sent(bh_buses *buses, bh_bus *bus) {
    const bh_slot *slot = &bus->slots[bus->current];
    bus->ended = bus->current;
    bus->current = -1;
    const int unheard = (slot->frame.flags & BH_FRAME_UNHEARD) != 0;
    bh_confine_sent(buses, bus, slot->node, unheard ? receiver_of(slot->node) : -1, bus->end_ns);
    suspend(buses, bus, slot->node);
    if (bus->rival >= 0) {
        suspend(buses, bus, bus->slots[bus->rival].node);
        bh_bus_release(buses, bus, (uint32_t)bus->rival);
        bus->rival = -1;
    }
    return slot;
}

static void count_errors(bh_buses *buses, bh_bus *bus, uint8_t sender, int32_t rival) {
    const uint64_t t_ns = bus->end_ns;
    if (bus->cause == BH_CAUSE_ACKNOWLEDGE) { /* alone on the bus, an error passive sender stays what it is */
        const int counts = bus->node[sender].state == BH_ERROR_ACTIVE;
        bh_confine_count(buses, bus, sender, counts ? TEC_PER_ERROR : 0, 0, t_ns);
        return;
    }
    bh_confine_receivers(buses, bus, sender, rival, t_ns);
    if (bus->cause == BH_CAUSE_CHECKSUM) {
        bh_confine_count(buses, bus, receiver_of(sender), 0, REC_OF_FINDER, t_ns);
    }
    bh_confine_count(buses, bus, sender, TEC_PER_ERROR, 0, t_ns);
    if (rival >= 0) {
        bh_confine_count(buses, bus, (uint8_t)rival, TEC_PER_ERROR, 0, t_ns);
    }
}

static const bh_slot *failed(bh_buses *buses, bh_bus *bus) {
    const bh_slot slot = bus->slots[bus->current];
    int32_t rival = -1;
    bh_bus_push_ready(bus, (uint32_t)bus->current, bus->current_order);
    bus->current = -1;
    if (bus->rival >= 0) {
        rival = bus->slots[bus->rival].node;
        bh_bus_push_ready(bus, (uint32_t)bus->rival, bus->rival_order);
        bus->rival = -1;
    }
    count_errors(buses, bus, slot.node, rival);
    suspend(buses, bus, slot.node);
    if (rival >= 0) {
        suspend(buses, bus, (uint8_t)rival);
    }
    const uint16_t tec = bus->node[slot.node].tec;
    memset(&bus->report, 0, sizeof bus->report);
    bus->report.node = slot.node;
    bus->report.frame.id = slot.frame.id;
    bus->report.frame.bus = slot.frame.bus;
    bus->report.frame.flags = (uint8_t)(slot.frame.flags | FIL_FRAME_ERROR);
    bus->report.frame.length = 2;
    bus->report.frame.data[0] = bus->cause;
    bus->report.frame.data[1] = (uint8_t)(tec < 255 ? tec : 255);
    return &bus->report;
}

const bh_slot *bh_attempt_end(bh_buses *buses, bh_bus *bus) {
    bh_confine_frame_ended(buses, bus, bus->end_ns);
    return bus->cause == 0 ? sent(buses, bus) : failed(buses, bus);
}
