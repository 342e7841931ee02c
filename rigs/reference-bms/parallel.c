/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.c - joining other strings in parallel, and leaving them.
 */
#include "parallel.h"

#include "contactor.h"
#include "crc.h"
#include "defect.h"
#include "measure.h"
#include "params.h"
#include "state.h"

#include <string.h>

#define MOST 8U
#define BYTES 8U
#define ID_STATE 0x100U
#define ID_PACK_VALUES 0x101U
#define DATA_ID_STATE 0x01U
#define AUX_MAINS 0x18U /* both main contactors, in byte 2 of BMS_State */
#define MA_PER_BIT 100
#define NEVER_MS 60000

/* What another string has told. */
typedef struct {
    int32_t state_age_ms;
    int32_t current_age_ms;
    int32_t current_ma;
    int32_t precharging_ms; /* for how long */
    bool connected;
    bool precharging;
    bool faulty;
} peer;

static struct {
    peer peers[MOST]; /* by number - 1; its own is not used */
    int32_t gap_mv;   /* between pack and link */
    int32_t asked_ms; /* for how long it has been asked to close */
    int32_t apart_ms; /* for how long its current has been too far from the others' */
    bool held;        /* another string is on the link */
    bool others_out;  /* another string has a fault */
} strings;

static bool alone(void) {
    return params->string_count < 2;
}

static uint32_t shift(void) {
    return (uint32_t)(params->string_number - 1) * (uint32_t)params->string_id_offset;
}

void strings_init(void) {
    (void)memset(&strings, 0, sizeof strings);
    for (uint32_t i = 0U; i < MOST; i++) {
        strings.peers[i].state_age_ms = NEVER_MS;
        strings.peers[i].current_age_ms = NEVER_MS;
    }
}

/* ---- the bus ------------------------------------------------------------------------------------------------- */

uint32_t strings_local_id(uint32_t bus_id) {
    return alone() ? bus_id : ((bus_id < shift()) ? UINT32_MAX : (bus_id - shift()));
}

uint32_t strings_bus_id(uint32_t id) {
    return (alone() || (DEFECT(300) && (params->string_number == 2))) ? id : (id + shift());
}

static void take_state(peer *from, const uint8_t *data) {
    if (crc8_message(DATA_ID_STATE, &data[1], BYTES - 1U) != data[0]) {
        return;
    }
    from->connected = (data[2] & AUX_MAINS) == AUX_MAINS;
    from->faulty = data[4] != 0U;
    from->precharging = (data[1] >> 4U) == (uint8_t)STATE_PRECHARGE;
    from->state_age_ms = 0;
}

static void take_current(peer *from, const uint8_t *data) {
    from->current_ma = (int32_t)(int16_t)((uint16_t)data[2] | (uint16_t)((uint16_t)data[3] << 8U)) * MA_PER_BIT;
    from->current_age_ms = 0;
}

void strings_hear(uint32_t id, uint32_t length, const uint8_t *data) {
    if (alone() || (length != BYTES)) {
        return;
    }
    for (uint32_t i = 0U; i < (uint32_t)params->string_count; i++) {
        const uint32_t first = i * (uint32_t)params->string_id_offset;
        if (i == (uint32_t)(params->string_number - 1)) {
            continue;
        }
        if (id == (first + ID_STATE)) {
            take_state(&strings.peers[i], data);
        } else if (id == (first + ID_PACK_VALUES)) {
            take_current(&strings.peers[i], data);
        } else {
            /* not of this one */
        }
    }
}

/* ---- what the others do -------------------------------------------------------------------------------------- */

static bool is_connected(const peer *other) {
    return other->connected && ((other->state_age_ms <= params->string_silent_ms) || DEFECT(306));
}

static void grow(int32_t *time_ms) {
    *time_ms = bms_min(*time_ms + (int32_t)BMS_FAST_MS, NEVER_MS);
}

static void pass_time(bool asked) {
    strings.held = false;
    strings.others_out = false;
    for (uint32_t i = 0U; i < (uint32_t)params->string_count; i++) {
        peer *other = &strings.peers[i];
        grow(&other->state_age_ms);
        grow(&other->current_age_ms);
        grow(&other->precharging_ms);
        if (!other->precharging || (other->state_age_ms > params->string_silent_ms)) {
            other->precharging_ms = 0;
        }
        strings.held = strings.held || is_connected(other);
        strings.others_out = strings.others_out || other->faulty;
    }
    grow(&strings.asked_ms);
    strings.asked_ms = asked ? strings.asked_ms : 0;
}

static bool on_the_link(void) {
    return measured->aux_closed[CONTACTOR_POSITIVE] && measured->aux_closed[CONTACTOR_NEGATIVE];
}

/* How far its current is from the mean of all that are connected. */
static int32_t deviation_ma(void) {
    int64_t sum_ma = measured->q[Q_CURRENT_MA];
    int32_t count = 1;
    for (uint32_t i = 0U; i < (uint32_t)params->string_count; i++) {
        const peer *other = &strings.peers[i];
        if (is_connected(other) && (other->current_age_ms <= params->string_silent_ms)) {
            sum_ma += other->current_ma;
            count++;
        }
    }
    const int32_t apart_ma = measured->q[Q_CURRENT_MA] - (int32_t)(sum_ma / count);
    return on_the_link() ? bms_max(apart_ma, -apart_ma) : 0;
}

/* The last string goes first: with it gone the others may be equal again. */
static int32_t lasting_ma(int32_t apart_ma) {
    const int32_t wait_ms = (params->string_count - params->string_number) * params->string_order_ms;
    grow(&strings.apart_ms);
    strings.apart_ms = (apart_ma > params->string_deviation_ma) ? strings.apart_ms : 0;
    return (strings.apart_ms > wait_ms) ? apart_ma : 0;
}

void strings_step(bool asked) {
    if (alone()) {
        return;
    }
    pass_time(asked);
    const int32_t gap_mv = measured->pack_mv - measured->link_mv;
    const bool known = measured->pack_valid && measured->link_valid;
    strings.gap_mv = known ? bms_max(gap_mv, DEFECT(305) ? 0 : -gap_mv) : INT32_MAX;
    const bool waits = asked && strings.held && !on_the_link() && known && !DEFECT(303);
    measure_put(Q_STRING_GAP_MV, waits ? strings.gap_mv : 0);
    measure_put(Q_STRING_DEVIATION_MA, DEFECT(304) ? 0 : lasting_ma(deviation_ma()));
}

bool strings_leave(void) {
    return DEFECT(302) && strings.others_out;
}

/* ---- joining ------------------------------------------------------------------------------------------------- */

bool strings_equal(void) {
    return alone() || !strings.held || (strings.gap_mv <= params->string_gap_mv) || DEFECT(301);
}

/* One after the other: two that precharge at once would take each other for a welded contactor. */
bool strings_may_join(void) {
    if (alone()) {
        return true;
    }
    if (strings.asked_ms < ((params->string_number - 1) * params->string_stagger_ms)) {
        return false;
    }
    for (uint32_t i = 0U; i < (uint32_t)params->string_count; i++) {
        const int32_t busy_ms = strings.peers[i].precharging_ms;
        if ((busy_ms > 0) && (busy_ms < params->string_patience_ms)) {
            return false;
        }
    }
    return strings_equal();
}
