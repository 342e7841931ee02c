/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_tp.c - which frame of the transport goes where; what the two sides share.
 */
#include "j1939_tp.h"

#include "can_queue.h"
#include "j1939_tp_parts.h"

#include <string.h>

#define FORMAT_CONNECTION 0xECU
#define FORMAT_DATA 0xEBU
#define PGN_CONNECTION 0xEC00U
#define PGN_DATA 0xEB00U

static struct {
    uint8_t own;
    uint32_t now_ms;
    uint32_t failures;
} tp;

void j1939_tp_init(uint8_t own_address) {
    (void)memset(&tp, 0, sizeof tp);
    tp.own = own_address;
    j1939_tp_reset();
}

void j1939_tp_reset(void) {
    tp_sender_reset();
    tp_receiver_reset();
}

uint8_t tp_own(void) {
    return tp.own;
}

uint32_t tp_now_ms(void) {
    return tp.now_ms;
}

void tp_failed(void) {
    tp.failures++;
}

uint32_t j1939_tp_failures(void) {
    return tp.failures;
}

void tp_put_connection(uint8_t priority, uint8_t destination, const uint8_t *head, uint32_t pgn) {
    uint8_t data[CAN_DATA_BYTES];
    (void)memcpy(data, head, TP_HEAD_BYTES);
    data[5] = (uint8_t)pgn;
    data[6] = (uint8_t)(pgn >> 8U);
    data[7] = (uint8_t)(pgn >> 16U);
    can_queue_put_extended(j1939_id(priority, PGN_CONNECTION, destination, tp.own), data, CAN_DATA_BYTES);
}

void tp_put_abort(uint8_t destination, uint8_t reason, uint32_t pgn) {
    const uint8_t head[TP_HEAD_BYTES] = {TP_ABORT, reason, 0xFFU, 0xFFU, 0xFFU};
    tp_put_connection(TP_PRIORITY, destination, head, pgn);
}

void tp_put_packet(uint8_t priority, uint8_t destination, uint8_t number, const uint8_t *bytes, uint32_t length) {
    uint8_t data[CAN_DATA_BYTES];
    (void)memset(data, 0xFF, sizeof data);
    data[0] = number;
    (void)memcpy(&data[1], bytes, length);
    can_queue_put_extended(j1939_id(priority, PGN_DATA, destination, tp.own), data, CAN_DATA_BYTES);
}

void j1939_tp_step(uint32_t now_ms) {
    tp.now_ms = now_ms;
    tp_receiver_step();
    tp_sender_step();
}

bool j1939_tp_busy(void) {
    return tp_sender_busy() || tp_receiver_busy();
}

static void take_connection(uint8_t source, uint8_t destination, const uint8_t *data) {
    const uint32_t pgn = (uint32_t)data[5] | ((uint32_t)data[6] << 8U) | ((uint32_t)data[7] << 16U);
    const bool global = destination == J1939_GLOBAL;
    switch (data[0]) {
    case TP_RTS:
    case TP_BAM:
        if (global == (data[0] == TP_BAM)) {
            tp_receiver_open(source, destination, data, pgn);
        }
        break;
    case TP_CTS:
    case TP_END:
        if (!global) {
            tp_sender_answer(source, data, pgn);
        }
        break;
    case TP_ABORT:
        tp_sender_abort(source, pgn);
        tp_receiver_abort(source, pgn);
        break;
    default:
        break; /* reserved */
    }
}

bool j1939_tp_push(uint32_t id, uint32_t length, const uint8_t *data) {
    const uint32_t format = (id >> 16U) & 0xFFU;
    const uint8_t destination = (uint8_t)(id >> 8U);
    const bool page_zero = ((id >> 24U) & 0x03U) == 0U;
    if (!page_zero || ((format != FORMAT_CONNECTION) && (format != FORMAT_DATA))) {
        return false;
    }
    if ((tp.own == J1939_NULL) || (length != CAN_DATA_BYTES) || ((destination != tp.own) && (destination != J1939_GLOBAL))) {
        return true;
    }
    if (format == FORMAT_CONNECTION) {
        take_connection((uint8_t)id, destination, data);
    } else {
        tp_receiver_packet((uint8_t)id, destination, data);
    }
    return true;
}
