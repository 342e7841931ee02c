/* SPDX-License-Identifier: Apache-2.0
 *
 * can_rx.c - reception of VCU_Command, CHG_Status and VCU_Line with counter and CRC.
 *
 * A frame is good when its CRC fits and its counter has moved on by 1 to 3, or by as many more as frames are missing by
 * now. A frame that is not good leaves everything as it was; only a run of frames that follow each other, each with a
 * good CRC, may bring a lost counter back in step (a sender that was reset).
 */
#include "can_rx.h"

#include "crc.h"
#include "defect.h"
#include "line.h"
#include "measure.h"
#include "params.h"
#include "uds.h"

#include <string.h>

#define ID_VEHICLE 0x200U
#define ID_LINE 0x201U
#define ID_CHARGER 0x210U
#define DATA_ID_VEHICLE 0x20U
#define DATA_ID_CHARGER 0x21U
#define DATA_ID_LINE 0x22U
#define COUNTER_MODULUS 15U
#define MAX_STEP 3U   /* counter steps accepted without a gap in time */
#define RESYNC_RUN 3U /* frames that must follow each other after a jump */
#define QUEUE 32U
#define AGE_LIMIT_MS 60000 /* ages end here, long before the millisecond counter wraps */

typedef struct {
    uint32_t good_ms; /* when the last good frame came */
    uint8_t counter;  /* of the last good frame */
    uint8_t candidate; /* of the last frame with a good CRC but a counter out of step */
    uint8_t run;       /* how many of those have followed each other */
    bool synced;      /* counter is of this stream: cleared at start and when a plug goes in */
    bool aged;        /* silent for AGE_LIMIT_MS or longer */
} stream;

typedef struct {
    uint32_t id;
    uint8_t data[CAN_BYTES];
} message;

static struct {
    message queue[QUEUE];
    uint32_t count;
    stream vehicle;
    stream charger;
    stream line;
    can_rx_rejects vehicle_rejects; /* apart from the streams: plugging in starts a stream anew */
    can_rx_rejects charger_rejects;
    can_rx_rejects line_rejects;
    bool plugged;
    bms_mode mode;
    bool reset_level;
    bool reset_edge;
} rx;

void can_rx_init(uint32_t now_ms) {
    (void)memset(&rx, 0, sizeof rx);
    rx.vehicle.good_ms = now_ms;
    rx.charger.good_ms = now_ms;
    rx.line.good_ms = now_ms;
    rx.mode = MODE_STANDBY;
}

/* The account of the sender of an identifier, NULL for messages that are none of this controller's. */
static can_rx_rejects *rejects_of(uint32_t id) {
    if (id == ID_VEHICLE) {
        return &rx.vehicle_rejects;
    }
    if (id == ID_CHARGER) {
        return &rx.charger_rejects;
    }
    return ((id == ID_LINE) && (params->line_supervised != 0)) ? &rx.line_rejects : NULL;
}

bool can_rx_push(uint32_t id, uint32_t length, const uint8_t *data) {
    can_rx_rejects *rejects = rejects_of(id);
    if (uds_push(id, length, data) || (rejects == NULL)) {
        return true;
    }
    if (length != CAN_BYTES) {
        rejects->corrupt++;
        return true;
    }
    if (rx.count >= QUEUE) {
        return false;
    }
    rx.queue[rx.count].id = id;
    (void)memcpy(rx.queue[rx.count].data, data, CAN_BYTES);
    rx.count++;
    return true;
}

/* Seeded defect: the moment of the time-out is worked out, and has wrapped around before the clock has. */
static bool overdue(const stream *source, uint32_t now_ms) {
    const uint32_t allowed_ms = (uint32_t)params->vehicle_age_ms + (uint32_t)params->vehicle_timeout_ms;
    return DEFECT(225) && (now_ms > (source->good_ms + allowed_ms));
}

static int32_t age_ms(stream *source, uint32_t now_ms) {
    if (overdue(source, now_ms)) {
        return AGE_LIMIT_MS;
    }
    const uint32_t elapsed_ms =
        (DEFECT(43) && (now_ms < source->good_ms)) ? 0U : bms_elapsed_ms(now_ms, source->good_ms);
    source->aged = source->aged || (elapsed_ms >= (uint32_t)AGE_LIMIT_MS);
    return source->aged ? AGE_LIMIT_MS : (int32_t)elapsed_ms;
}

static uint32_t steps_between(uint32_t from, uint32_t to) {
    return (to + COUNTER_MODULUS - from) % COUNTER_MODULUS;
}

/* A counter out of step: wait for a run of frames that follow each other. */
static bool back_in_step(stream *source, uint8_t counter) {
    const uint32_t steps = steps_between(source->candidate, counter);
    const bool follows = (source->run > 0U) && (steps >= 1U) && (steps <= MAX_STEP);
    source->run = follows ? (uint8_t)(source->run + 1U) : 1U;
    source->candidate = counter;
    return source->run >= RESYNC_RUN;
}

static bool counter_plausible(stream *source, uint8_t counter, uint32_t now_ms, int32_t period_ms) {
    const int32_t age = age_ms(source, now_ms);
    if (!source->synced) {
        return true;
    }
    const uint32_t missing = (age > period_ms) ? (uint32_t)((age - period_ms) / period_ms) : 0U;
    const uint32_t steps = steps_between(source->counter, counter);
    return ((steps >= 1U) && (steps <= (MAX_STEP + missing))) || back_in_step(source, counter);
}

/* One sender: what its frames are protected with, and the account of those refused. */
typedef struct {
    stream *source;
    can_rx_rejects *rejects;
    uint8_t data_id;
    int32_t period_ms;
} sender;

/* Whether the frame is good; only then the stream moves on. */
static bool accept(const sender *from, const uint8_t *data, uint32_t now_ms) {
    stream *source = from->source;
    const uint8_t counter = (uint8_t)(data[1] & 0x0FU);
    const bool unchecked = DEFECT(24) || (DEFECT(211) && (from->data_id == DATA_ID_LINE));
    if (((crc8_message(from->data_id, &data[1], CAN_BYTES - 1U) != data[0]) && !unchecked) ||
        (counter >= COUNTER_MODULUS)) {
        from->rejects->corrupt++;
        if (DEFECT(22)) {
            source->good_ms = now_ms;
        }
        return false;
    }
    if (!counter_plausible(source, counter, now_ms, from->period_ms)) {
        from->rejects->out_of_sequence++;
        return DEFECT(134) != 0;
    }
    source->counter = counter;
    source->good_ms = now_ms;
    source->run = 0U;
    source->synced = true;
    source->aged = false;
    return true;
}

static void take_vehicle(const uint8_t *data, uint32_t now_ms) {
    const sender vehicle = {&rx.vehicle, &rx.vehicle_rejects, DATA_ID_VEHICLE, params->vehicle_period_ms};
    if (!accept(&vehicle, data, now_ms)) {
        return;
    }
    const bool reset = (data[2] & 0x01U) != 0U;
    rx.mode = (bms_mode)((data[1] >> 4U) & 0x03U);
    rx.reset_edge = rx.reset_edge || (reset && !rx.reset_level);
    rx.reset_level = reset;
}

/* The controller needs of the charger only that it is alive. */
static void take_charger(const uint8_t *data, uint32_t now_ms) {
    const sender charger = {&rx.charger, &rx.charger_rejects, DATA_ID_CHARGER, params->charger_period_ms};
    (void)accept(&charger, data, now_ms);
}

static void take_line(const uint8_t *data, uint32_t now_ms) {
    const sender vehicle = {&rx.line, &rx.line_rejects, DATA_ID_LINE, params->line_period_ms};
    if (accept(&vehicle, data, now_ms)) {
        line_take(data);
    }
}

void can_rx_step(uint32_t now_ms) {
    for (uint32_t i = 0U; i < rx.count; i++) {
        const message *received = &rx.queue[i];
        if (received->id == ID_VEHICLE) {
            take_vehicle(received->data, now_ms);
        } else if (received->id == ID_LINE) {
            take_line(received->data, now_ms);
        } else {
            take_charger(received->data, now_ms);
        }
    }
    rx.count = 0U;
}

const can_rx_rejects *can_rx_vehicle_rejects(void) {
    return &rx.vehicle_rejects;
}

const can_rx_rejects *can_rx_charger_rejects(void) {
    return &rx.charger_rejects;
}

bool can_rx_heard(void) {
    return rx.vehicle.synced;
}

bms_mode can_rx_mode(void) {
    return rx.mode;
}

bool can_rx_take_reset(void) {
    const bool edge = rx.reset_edge || DEFECT(49);
    rx.reset_edge = DEFECT(504) && rx.reset_edge;
    return edge;
}

/* A charger that is not plugged cannot be missed; after plugging it has the full time to appear. */
static int32_t charger_age_ms(uint32_t now_ms) {
    if (measured->plug && !rx.plugged) {
        (void)memset(&rx.charger, 0, sizeof rx.charger);
        rx.charger.good_ms = now_ms;
    }
    rx.plugged = measured->plug;
    const bool watched = rx.plugged && (params->gbt == 0); /* a GB/T session watches its own messages */
    return watched ? age_ms(&rx.charger, now_ms) : 0;
}

void can_rx_put_ages(uint32_t now_ms) {
    measure_put(Q_VEHICLE_AGE_MS, age_ms(&rx.vehicle, now_ms));
    measure_put(Q_CHARGER_AGE_MS, charger_age_ms(now_ms));
    line_step(age_ms(&rx.line, now_ms));
}

void can_rx_pass(uint32_t ms) {
    rx.vehicle.good_ms += ms;
    rx.charger.good_ms += ms;
    rx.line.good_ms += ms;
}
