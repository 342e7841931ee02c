/* SPDX-License-Identifier: Apache-2.0
 *
 * The port of your firmware to the harness: every function of fil.h, see docs/bring-your-own-firmware.md.
 *
 * It is a skeleton. It runs, closes the contactors when it is asked to, sends each message of messages.h at its period
 * with neutral contents, and fills in the few numbers that were recognised in the database. It protects nothing.
 *
 * Have your own firmware: call it from fil_init, fil_step, fil_can_rx and fil_can_tx, take the rest and messages.h out.
 * Have none yet: grow this one; what is to be filled in is marked FILL IN.
 */
#include "fil.h"
#include "messages.h"

#include <stdio.h>
#include <string.h>

#define US_PER_MS 1000U
#define PRECHARGE_US 1000000U /* FILL IN: end it by the link voltage, and give up when it takes too long */
#define UNASKED_US 2000000U   /* where the database has no request: this long after power-on the contactors close */
#define LIMIT_A 50.0          /* FILL IN: by temperature, state of charge and cell voltage */
#define SPREAD_MS 7U          /* between the first frames of two messages, so that they do not come in one burst */
#define ERROR_TEXT 120U

typedef enum { STANDBY, PRECHARGE, DRIVE, CHARGE } mode;

static struct {
    uint64_t next_us[N_MESSAGES];
    uint16_t page[N_MESSAGES];
    uint8_t payload[N_MESSAGES][PAYLOAD];
    fil_frame queue[N_MESSAGES];
    int queued;
    uint64_t closing_us; /* when the contactors began to close, 0 = open */
    mode wanted;
    uint16_t n_cells, n_temps;
    char error[ERROR_TEXT];
} port;

/* ---- bits of a payload, in the numbering of DBC files --------------------------------------------------- */

static unsigned place_of(const field *at, unsigned bit) {
    if (!at->big_endian) {
        return at->start_bit + bit;
    }
    unsigned first = 8U * (at->start_bit / 8U) + 7U - at->start_bit % 8U;
    unsigned along = first + at->length - 1U - bit;
    return 8U * (along / 8U) + 7U - along % 8U;
}

static void put(uint8_t *data, const field *at, uint64_t raw) {
    for (unsigned bit = 0; bit < at->length; bit++) {
        unsigned place = place_of(at, bit);
        uint8_t mask = (uint8_t)(1U << place % 8U);
        data[place / 8U] = (uint8_t)((raw >> bit & 1U) != 0U ? data[place / 8U] | mask : data[place / 8U] & ~mask);
    }
}

static uint64_t get(const uint8_t *data, const field *at) {
    uint64_t raw = 0;
    for (unsigned bit = 0; bit < at->length; bit++) {
        unsigned place = place_of(at, bit);
        raw |= (uint64_t)(data[place / 8U] >> place % 8U & 1U) << bit;
    }
    return raw;
}

/* ---- what the controller reads --------------------------------------------------------------------------- */

static double extreme(const int32_t *values, const uint8_t *flags, unsigned n, int highest, double unit) {
    int found = 0;
    int32_t best = 0;
    for (unsigned i = 0; i < n; i++) {
        if ((flags[i] & FIL_VALID) != 0 && (!found || (highest ? values[i] > best : values[i] < best))) {
            best = values[i];
            found = 1;
        }
    }
    return best * unit;
}

static double value_of(quantity of, const fil_inputs *in) {
    switch (of) {
    case PACK_VOLTAGE_V: return in->pack_mv * 1e-3;
    case LINK_VOLTAGE_V: return in->link_mv * 1e-3;
    case CHARGER_VOLTAGE_V: return in->charger_mv * 1e-3;
    case PACK_CURRENT_A: return in->current_ma * 1e-3;
    case SUPPLY_V: return in->supply_mv * 1e-3;
    case INSULATION_OHM: return in->insulation_ohm;
    case CELL_VOLTAGE_MAX_V: return extreme(in->cell_uv, in->cell_flags, port.n_cells, 1, 1e-6);
    case CELL_VOLTAGE_MIN_V: return extreme(in->cell_uv, in->cell_flags, port.n_cells, 0, 1e-6);
    case CELL_TEMP_MAX_DEGC: return extreme(in->temp_mdegc, in->temp_flags, port.n_temps, 1, 1e-3);
    case CELL_TEMP_MIN_DEGC: return extreme(in->temp_mdegc, in->temp_flags, port.n_temps, 0, 1e-3);
    case CHARGE_LIMIT_A:
    case DISCHARGE_LIMIT_A: return LIMIT_A;
    case CHARGE_VOLTAGE_LIMIT_V: return port.n_cells * CELL_FULL_V;
    }
    return 0.0;
}

/* ---- what it decides ------------------------------------------------------------------------------------- */

static mode wanted_mode(const fil_inputs *in) {
    if ((in->digital_in & FIL_IN_IGNITION) == 0) {
        return STANDBY;
    }
    if (HAS_REQUEST) {
        return port.wanted;
    }
    if (in->now_us < UNASKED_US) { /* FILL IN: who asks your controller to close its contactors, and how? */
        return STANDBY;
    }
    return (in->digital_in & FIL_IN_CHARGE_PLUG) != 0 ? CHARGE : DRIVE;
}

static mode control_contactors(const fil_inputs *in, fil_outputs *out) {
    mode wanted = wanted_mode(in); /* FILL IN: open them when something is wrong */
    if (wanted == STANDBY) {
        port.closing_us = 0;
        out->contactors = 0;
        return STANDBY;
    }
    if (port.closing_us == 0) {
        port.closing_us = in->now_us;
    }
    if (in->now_us - port.closing_us < PRECHARGE_US) {
        out->contactors = FIL_OUT_NEGATIVE | FIL_OUT_PRECHARGE;
        return PRECHARGE;
    }
    out->contactors = FIL_OUT_NEGATIVE | FIL_OUT_POSITIVE;
    return wanted;
}

/* ---- what it says ---------------------------------------------------------------------------------------- */

static uint64_t raw_of(const number *item, double value) {
    double raw = value * item->factor + item->shift;
    double low = item->is_signed ? -(double)(1ULL << (item->at.length - 1)) : 0.0;
    double high = (double)(1ULL << (item->is_signed ? item->at.length - 1 : item->at.length)) - 1.0;
    raw = raw < low ? low : raw > high ? high : raw;
    return (uint64_t)(int64_t)(raw < 0.0 ? raw - 0.5 : raw + 0.5);
}

static void send(unsigned at, const uint8_t *payload) {
    if (port.queued == N_MESSAGES) {
        return; /* still full of what the bus did not take */
    }
    fil_frame *frame = &port.queue[port.queued++];
    memset(frame, 0, sizeof *frame);
    frame->id = messages[at].id;
    frame->flags = messages[at].flags;
    frame->length = messages[at].length;
    memcpy(frame->data, payload, messages[at].length);
}

static void send_due(const fil_inputs *in, mode now) {
    for (unsigned at = 0; at < N_MESSAGES; at++) {
        const message *own = &messages[at];
        if (in->now_us < port.next_us[at]) {
            continue;
        }
        uint8_t *payload = port.payload[at];
        memcpy(payload, pages[own->first_page + port.page[at]], PAYLOAD);
        port.page[at] = (uint16_t)((port.page[at] + 1U) % own->n_pages);
        port.next_us[at] += (uint64_t)own->period_ms * US_PER_MS;
        if (port.next_us[at] <= in->now_us) { /* it was held up: no burst to catch up */
            port.next_us[at] = in->now_us + (uint64_t)own->period_ms * US_PER_MS;
        }
        for (const number *item = numbers; item->at.length > 0; item++) {
            if (item->at.message == at) {
                put(payload, &item->at, raw_of(item, value_of(item->of, in)));
            }
        }
        if (HAS_STATE && state_field.message == at) {
            put(payload, &state_field, state_raw[now]);
        }
        send(at, payload); /* FILL IN: all other signals, alive counters, checksums */
    }
}

/* ---- fil.h ----------------------------------------------------------------------------------------------- */

uint32_t fil_abi_version(void) {
    return FIL_ABI_VERSION;
}

const char *fil_last_error(void) {
    return port.error;
}

int fil_init(const fil_config *config) {
    if (config->n_parameters > 0) { /* FILL IN: what [firmware.parameters] of the rig file sets */
        (void)snprintf(port.error, sizeof port.error, "no parameter '%s': the skeleton has none",
                       config->parameters[0].name);
        return -1;
    }
    port.n_cells = config->n_cells;
    port.n_temps = config->n_temps;
    for (unsigned at = 0; at < N_MESSAGES; at++) {
        port.next_us[at] = (uint64_t)(SPREAD_MS * at % messages[at].period_ms) * US_PER_MS;
    }
    return 0;
}

int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    memset(outputs->balancing, 0, port.n_cells);
    outputs->digital_out = 0;
    outputs->can_restart = 0;
    for (unsigned bus = 0; bus < inputs->n_buses; bus++) {
        outputs->can_restart |= inputs->can_state[bus] == FIL_CAN_BUS_OFF ? 1U << bus : 0U;
    }
    mode now = control_contactors(inputs, outputs);
    send_due(inputs, now);
    return 0;
}

int fil_can_rx(const fil_frame *frame) {
    int extended = (frame->flags & FIL_FRAME_EXTENDED) != 0;
    if (!HAS_REQUEST || frame->id != request.id || extended != request.extended || frame->length < request.length) {
        return 0;
    }
    uint64_t raw = get(frame->data, &request.at); /* FILL IN: check counter and checksum, notice silence */
    port.wanted = raw == request.drive ? DRIVE : raw == request.charge ? CHARGE : STANDBY;
    return 0;
}

int fil_can_tx(fil_frame *frames, int max) {
    int n = port.queued < max ? port.queued : max;
    memcpy(frames, port.queue, (size_t)n * sizeof *frames);
    memmove(port.queue, port.queue + n, (size_t)(port.queued - n) * sizeof *frames);
    port.queued -= n;
    return n;
}

int fil_nvm(int op, uint8_t *buffer, uint32_t size) {
    (void)op, (void)buffer, (void)size; /* FILL IN: what your controller remembers over a power cycle */
    return 0;
}
