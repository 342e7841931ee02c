/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c - fault confinement (ISO 11898-1): error counters, error active, error passive, bus-off and recovery.
 *
 * Nodes other than the DUT start their recovery by themselves; the DUT when its firmware says so.
 */
#include "bus.h"

enum {
    PASSIVE_AT = 128,
    OFF_AT = 256,
    REC_AFTER_PASSIVE = 119,
    REC_MAX = 255,
    RECOVERY_TIMES = 128,
    RECESSIVE_BITS = 11,
    BITS_AFTER_ACK = 8, /* delimiter and end of frame, or error delimiter: recessive */
    NS_PER_S = 1000000000
};

static void note_disturbance(bh_bus *bus) {
    uint32_t trouble = 0;
    for (int i = 0; i < BH_N_NODES; i++) {
        trouble |= (uint32_t)bus->node[i].tec | bus->node[i].rec | bus->node[i].state;
    }
    bus->disturbed = trouble != 0;
}

static void set_state(bh_buses *buses, bh_bus *bus, uint8_t node, uint8_t state, uint64_t t_ns) {
    if (bus->node[node].state != state) {
        bus->node[node].state = state;
        bus->node[node].since_ns = t_ns;
    }
    if (node == BH_NODE_DUT) {
        uint8_t *told = &buses->dut_state[bus - buses->bus];
        buses->n_dut_off = (uint8_t)(buses->n_dut_off + (state == BH_BUS_OFF) - (*told == BH_BUS_OFF));
        *told = state;
    }
}

/* The state follows the counters, but nothing but a recovery leads out of bus-off. */
static void settle(bh_buses *buses, bh_bus *bus, uint8_t node, uint64_t t_ns) {
    bh_can_node *can = &bus->node[node];
    if (can->state != BH_BUS_OFF && can->tec >= OFF_AT) {
        set_state(buses, bus, node, BH_BUS_OFF, t_ns);
        bh_bus_drop_waiting(buses, bus, node);
        if (node != BH_NODE_DUT) {
            bh_confine_restart(buses, bus, node, t_ns);
        }
    } else if (can->state != BH_BUS_OFF) {
        const int passive = can->tec >= PASSIVE_AT || can->rec >= PASSIVE_AT;
        set_state(buses, bus, node, passive ? BH_ERROR_PASSIVE : BH_ERROR_ACTIVE, t_ns);
    }
    note_disturbance(bus);
}

/* ---- counters ------------------------------------------------------------------------------------------------ */

/* A foreign node only ever sends; peers are there in a group. */
static int is_there(const bh_buses *buses, const bh_bus *bus, uint8_t node) {
    return node != BH_NODE_FOREIGN && (node != BH_NODE_PEER || buses->n_peers > 0) &&
           (node != BH_NODE_DUT || buses->dut_on) && bus->node[node].state != BH_BUS_OFF;
}

void bh_confine_count(bh_buses *buses, bh_bus *bus, uint8_t node, int32_t transmit, int32_t receive, uint64_t t_ns) {
    bh_can_node *can = &bus->node[node];
    if (can->state == BH_BUS_OFF) {
        return;
    }
    can->tec = (uint16_t)(can->tec + transmit);
    can->rec = (uint16_t)(can->rec + receive < REC_MAX ? can->rec + receive : REC_MAX);
    settle(buses, bus, node, t_ns);
}

void bh_confine_receivers(bh_buses *buses, bh_bus *bus, uint8_t sender, int32_t rival, uint64_t t_ns) {
    for (uint8_t node = 0; node < BH_N_NODES; node++) {
        if (node != sender && node != rival && is_there(buses, bus, node)) {
            bh_confine_count(buses, bus, node, 0, 1, t_ns);
        }
    }
}

void bh_confine_sent(bh_buses *buses, bh_bus *bus, uint8_t sender, int32_t deaf, uint64_t t_ns) {
    for (uint8_t node = 0; node < BH_N_NODES; node++) {
        bh_can_node *can = &bus->node[node];
        if (node == sender) {
            can->tec -= can->tec > 0 && can->state != BH_BUS_OFF;
        } else if (node != deaf && is_there(buses, bus, node) && can->rec > 0) {
            can->rec = can->rec >= PASSIVE_AT ? REC_AFTER_PASSIVE : (uint16_t)(can->rec - 1);
        }
        settle(buses, bus, node, t_ns);
    }
}

int bh_confine_listeners(const bh_buses *buses, const bh_bus *bus, uint8_t sender, int *active) {
    int n = 0;
    *active = 0;
    for (uint8_t node = 0; node < BH_N_NODES; node++) {
        if (node != sender && is_there(buses, bus, node)) {
            n++;
            *active |= bus->node[node].state == BH_ERROR_ACTIVE;
        }
    }
    return n;
}

void bh_confine_force(bh_buses *buses, bh_bus *bus, uint8_t node, uint16_t tec, uint64_t now_ns) {
    bus->node[node].tec = tec;
    settle(buses, bus, node, now_ns);
}

/* ---- recovery ------------------------------------------------------------------------------------------------ */

void bh_confine_restart(bh_buses *buses, bh_bus *bus, uint8_t node, uint64_t now_ns) {
    bh_can_node *can = &bus->node[node];
    (void)buses;
    if (can->state == BH_BUS_OFF && !can->recovering) {
        can->recovering = 1;
        can->left = RECOVERY_TIMES;
        can->recessive_ns = now_ns;
    }
}

static void is_back(bh_buses *buses, bh_bus *bus, uint8_t node, uint64_t t_ns) {
    bh_can_node *can = &bus->node[node];
    can->tec = 0;
    can->rec = 0;
    can->recovering = 0;
    can->silent_ns = 0;
    set_state(buses, bus, node, BH_ERROR_ACTIVE, t_ns);
    note_disturbance(bus);
}

/* The bus was recessive up to t_ns: count. Eleven bits must follow each other, so an interruption loses the rest. */
static void count_recessive(bh_buses *buses, bh_bus *bus, uint64_t t_ns, int interrupted) {
    for (uint8_t node = 0; node < BH_N_NODES; node++) {
        bh_can_node *can = &bus->node[node];
        if (!can->recovering || t_ns <= can->recessive_ns) {
            continue;
        }
        const uint64_t times = (t_ns - can->recessive_ns) * buses->bitrate / ((uint64_t)RECESSIVE_BITS * NS_PER_S);
        if (times >= can->left) {
            is_back(buses, bus, node, can->recessive_ns + bh_bits_ns(buses, (uint64_t)RECESSIVE_BITS * can->left));
        } else if (interrupted) {
            can->left = (uint8_t)(can->left - times);
        }
    }
}

void bh_confine_frame_starts(bh_buses *buses, bh_bus *bus, uint64_t at_ns) {
    count_recessive(buses, bus, at_ns, 1);
}

void bh_confine_frame_ended(bh_buses *buses, bh_bus *bus, uint64_t end_ns) {
    const uint64_t since_ns = end_ns - bh_bits_ns(buses, BITS_AFTER_ACK);
    for (int node = 0; node < BH_N_NODES; node++) {
        bh_can_node *can = &bus->node[node];
        if (can->recovering && can->recessive_ns < since_ns) {
            can->recessive_ns = since_ns;
        }
    }
}

void bh_confine_tick(bh_buses *buses, bh_bus *bus, uint64_t now_ns) {
    if (bus->current < 0) {
        count_recessive(buses, bus, now_ns, 0);
    }
}

/* ---- power and looking in ------------------------------------------------------------------------------------ */

void bh_confine_reset(bh_buses *buses, uint8_t node, uint64_t now_ns) {
    for (int32_t i = 0; i < buses->n; i++) {
        is_back(buses, &buses->bus[i], node, now_ns);
    }
}
