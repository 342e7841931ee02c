/* SPDX-License-Identifier: Apache-2.0
 *
 * isotp.c - transport of diagnostic messages over CAN frames of 8 bytes, ISO 15765-2 with normal addressing.
 */
#include "isotp.h"

#include "bms_assert.h"
#include "can_queue.h"
#include "defect.h"

#include <string.h>

#define FRAME 8U
#define PADDING 0xCCU
#define QUEUE 24U        /* frames of one step */
#define SINGLE_MAX 7U
#define FIRST_BYTES 6U
#define NEXT_BYTES 7U
#define TIMEOUT_MS 1000U /* N_Bs and N_Cr */
#define BURST 4U         /* frames in a step when the tester asks for no time between them */
#define WAITS_MAX 10U

enum { PCI_SINGLE = 0x0, PCI_FIRST = 0x1, PCI_NEXT = 0x2, PCI_FLOW = 0x3 };
enum { FLOW_GO = 0x0, FLOW_WAIT = 0x1, FLOW_OVERFLOW = 0x2 };
enum { IDLE = 0, AWAITS_FLOW, FLOWS };

typedef struct {
    uint8_t length;
    uint8_t data[FRAME];
} frame;

static struct {
    frame queue[QUEUE];
    uint32_t count;
    /* received */
    uint8_t request[ISOTP_MAX];
    uint32_t expected; /* bytes of the request under way, 0 = none */
    uint32_t got;
    uint8_t next_in;
    uint32_t heard_ms;
    /* sent */
    uint8_t response[ISOTP_MAX];
    uint32_t length;
    uint32_t sent;
    uint32_t state;
    uint8_t next_out;
    uint32_t block;    /* frames left before the next flow control, 0 = no limit */
    uint32_t gap_ms;   /* least time between frames */
    uint32_t since_ms; /* of the wait for a flow control, or of the last frame */
    uint32_t waits;
} tp;

void isotp_init(void) {
    (void)memset(&tp, 0, sizeof tp);
}

void isotp_push(uint32_t length, const uint8_t *data) {
    if ((tp.count < QUEUE) && (length <= FRAME)) {
        tp.queue[tp.count].length = (uint8_t)length;
        (void)memset(tp.queue[tp.count].data, 0, FRAME);
        (void)memcpy(tp.queue[tp.count].data, data, length);
        tp.count++;
    }
}

/* ---- out -------------------------------------------------------------------------------------------------- */

static void put(const uint8_t *head, uint32_t n_head, const uint8_t *body, uint32_t n_body) {
    uint8_t bytes[FRAME];
    uint64_t word = 0U;
    (void)memset(bytes, (int)PADDING, sizeof bytes);
    (void)memcpy(bytes, head, n_head);
    if (n_body > 0U) {
        (void)memcpy(&bytes[n_head], body, n_body);
    }
    for (uint32_t i = 0U; i < FRAME; i++) {
        word |= (uint64_t)bytes[i] << (8U * i);
    }
    can_queue_put(ISOTP_ID_RESPONSE, word);
}

static void send_flow(uint8_t status) {
    if (DEFECT(409)) {
        return;
    }
    const uint8_t head[3] = {(uint8_t)(((uint32_t)PCI_FLOW << 4U) | status), 0U, 0U};
    put(head, sizeof head, NULL, 0U);
}

static void send_next(uint32_t now_ms) {
    const uint8_t head[1] = {(uint8_t)(((uint32_t)PCI_NEXT << 4U) | tp.next_out)};
    const uint32_t left = tp.length - tp.sent;
    const uint32_t bytes = (left < NEXT_BYTES) ? left : NEXT_BYTES;
    put(head, sizeof head, &tp.response[tp.sent], bytes);
    tp.sent += bytes;
    tp.next_out = (tp.next_out + 1U) & 0xFU;
    tp.since_ms = now_ms;
    if (tp.sent >= tp.length) {
        tp.state = IDLE;
    } else if ((tp.block > 0U) && (--tp.block == 0U)) {
        tp.state = AWAITS_FLOW;
    } else {
        /* go on */
    }
}

static void send_due(uint32_t now_ms) {
    if ((tp.state == (uint32_t)AWAITS_FLOW) && (bms_elapsed_ms(now_ms, tp.since_ms) >= TIMEOUT_MS)) {
        tp.state = IDLE;
    }
    const uint32_t most = (tp.gap_ms == 0U) ? BURST : 1U;
    for (uint32_t i = 0U; (i < most) && (tp.state == (uint32_t)FLOWS); i++) {
        if (bms_elapsed_ms(now_ms, tp.since_ms) < tp.gap_ms) {
            return;
        }
        send_next(now_ms);
    }
}

void isotp_send(uint32_t now_ms, const uint8_t *message, uint32_t length) {
    BMS_ASSERT((length > 0U) && (length <= ISOTP_MAX), "length of a diagnostic message out of range");
    if (length <= SINGLE_MAX) {
        const uint8_t head[1] = {(uint8_t)length};
        put(head, sizeof head, message, length);
        tp.state = IDLE;
        return;
    }
    const uint8_t head[2] = {(uint8_t)(((uint32_t)PCI_FIRST << 4U) | (length >> 8U)), (uint8_t)length};
    (void)memcpy(tp.response, message, length);
    put(head, sizeof head, message, FIRST_BYTES);
    tp.length = length;
    tp.sent = FIRST_BYTES;
    tp.next_out = (uint8_t)(DEFECT(264) ? 0U : 1U);
    tp.state = AWAITS_FLOW;
    tp.since_ms = now_ms;
    tp.waits = 0U;
}

/* Least time between frames a flow control asks for, in whole ms; codes for 0.1 to 0.9 ms take one step anyway. */
static uint32_t gap_of(uint8_t code) {
    return (code <= 0x7FU) ? code : (((code >= 0xF1U) && (code <= 0xF9U)) ? 1U : 0x7FU);
}

static void take_flow(uint32_t now_ms, const frame *from) {
    if ((tp.state != (uint32_t)AWAITS_FLOW) || (from->length < 3U)) {
        return;
    }
    const uint8_t status = from->data[0] & 0xFU;
    tp.since_ms = now_ms;
    if (status == (uint8_t)FLOW_GO) {
        tp.block = DEFECT(414) ? 0U : from->data[1];
        tp.gap_ms = DEFECT(415) ? 0U : gap_of(from->data[2]);
        tp.since_ms = now_ms - tp.gap_ms; /* the first one may go at once */
        tp.state = FLOWS;
    } else if ((status == (uint8_t)FLOW_WAIT) && (tp.waits < WAITS_MAX) && !DEFECT(416)) {
        tp.waits++;
    } else {
        tp.state = IDLE;
    }
}

/* ---- in --------------------------------------------------------------------------------------------------- */

static uint32_t take_single(const frame *from) {
    const uint32_t length = from->data[0] & 0xFU;
    if ((length == 0U) || (length > SINGLE_MAX) || ((length + 1U) > from->length)) {
        return 0U;
    }
    (void)memcpy(tp.request, &from->data[1], length);
    tp.expected = 0U;
    return length;
}

static void take_first(uint32_t now_ms, const frame *from) {
    const uint32_t length = ((uint32_t)(from->data[0] & 0xFU) << 8U) | from->data[1];
    tp.expected = 0U;
    if ((from->length < FRAME) || (length <= SINGLE_MAX)) {
        return;
    }
    if (length > ISOTP_MAX) {
        send_flow(FLOW_OVERFLOW);
        return;
    }
    (void)memcpy(tp.request, &from->data[2], FIRST_BYTES);
    tp.expected = length;
    tp.got = FIRST_BYTES;
    tp.next_in = 1U;
    tp.heard_ms = now_ms;
    send_flow(FLOW_GO);
}

/* A frame out of order ends the request it belongs to. */
static uint32_t take_next(uint32_t now_ms, const frame *from) {
    const uint32_t left = tp.expected - tp.got;
    const uint32_t bytes = (left < NEXT_BYTES) ? left : NEXT_BYTES;
    if (tp.expected == 0U) {
        return 0U;
    }
    if (((from->data[0] & 0xFU) != tp.next_in) || ((bytes + 1U) > from->length)) {
        tp.expected = 0U;
        return 0U;
    }
    (void)memcpy(&tp.request[tp.got], &from->data[1], bytes);
    tp.got += bytes;
    tp.next_in = (tp.next_in + 1U) & 0xFU;
    tp.heard_ms = now_ms;
    if (tp.got < tp.expected) {
        return 0U;
    }
    tp.expected = 0U;
    return tp.got;
}

static uint32_t take(uint32_t now_ms, const frame *from) {
    uint32_t complete = 0U;
    switch ((from->length == 0U) ? UINT8_MAX : (from->data[0] >> 4U)) {
    case PCI_SINGLE:
        complete = take_single(from);
        break;
    case PCI_FIRST:
        take_first(now_ms, from);
        break;
    case PCI_NEXT:
        complete = take_next(now_ms, from);
        break;
    case PCI_FLOW:
        take_flow(now_ms, from);
        break;
    default:
        break; /* not a frame of this transport */
    }
    return complete;
}

uint32_t isotp_step(uint32_t now_ms, const uint8_t **request) {
    uint32_t complete = 0U;
    uint32_t taken = 0U;
    if ((tp.expected > 0U) && (bms_elapsed_ms(now_ms, tp.heard_ms) >= TIMEOUT_MS)) {
        tp.expected = 0U;
    }
    while ((taken < tp.count) && (complete == 0U)) {
        complete = take(now_ms, &tp.queue[taken]);
        taken++;
    }
    tp.count -= taken;
    (void)memmove(tp.queue, &tp.queue[taken], tp.count * sizeof tp.queue[0]);
    send_due(now_ms);
    *request = tp.request;
    return complete;
}

bool isotp_busy(void) {
    return (tp.count > 0U) || (tp.expected > 0U) || (tp.state != (uint32_t)IDLE);
}
