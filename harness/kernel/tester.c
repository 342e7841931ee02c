/* SPDX-License-Identifier: Apache-2.0
 *
 * tester.c - the diagnostic tester's end of ISO 15765-2: it sends requests of any length and lets the DUT send on.
 */
#include "tester.h"

#include <string.h>

enum { FRAME_BYTES = 8, SINGLE_MAX = 7, FIRST_BYTES = 6, NEXT_BYTES = 7, PADDING = 0xCC };
enum { PCI_FIRST = 0x10, PCI_NEXT = 0x20, PCI_FLOW = 0x30, PCI_MASK = 0xF0 };
enum { GAP_MS_MAX = 0x7F, NS_PER_MS = 1000000, WAIT_MS = 300, BLOCK_MS = 50 };

void bh_tester_frame(bh_tester *tester, bh_buses *buses, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
    fil_frame frame = {.id = tester->config.request_id,
                       .flags = tester->config.extended ? FIL_FRAME_EXTENDED : 0,
                       .bus = tester->config.bus,
                       .length = (uint8_t)length};
    memcpy(frame.data, bytes, length);
    tester->asked = 1;
    if (bh_bus_queue(buses, &frame, BH_NODE_TESTER, now_ns) != 0) {
        tester->lost++;
    }
}

/* A frame filled up to 8 bytes. */
static void send(bh_tester *tester, bh_buses *buses, const uint8_t *head, uint32_t n_head, uint32_t n, uint64_t at_ns) {
    uint8_t bytes[FRAME_BYTES];
    memset(bytes, PADDING, sizeof bytes);
    memcpy(bytes, head, n_head);
    memcpy(bytes + n_head, tester->message + tester->sent, n);
    tester->sent += n;
    bh_tester_frame(tester, buses, bytes, FRAME_BYTES, at_ns);
}

void bh_tester_request(bh_tester *tester, bh_buses *buses, const uint8_t *message, uint32_t length, uint64_t now_ns) {
    memcpy(tester->message, message, length);
    tester->length = length;
    tester->sent = 0;
    tester->order = 0;
    tester->waiting = length > SINGLE_MAX;
    if (tester->waiting) {
        const uint8_t head[2] = {(uint8_t)(PCI_FIRST | length >> 8), (uint8_t)length};
        send(tester, buses, head, sizeof head, FIRST_BYTES, now_ns);
    } else {
        const uint8_t head[1] = {(uint8_t)length};
        send(tester, buses, head, sizeof head, length, now_ns);
    }
}

/* The rest of a request, as many frames as the DUT allows, no closer than it allows. */
static void go_on(bh_tester *tester, bh_buses *buses, const uint8_t *flow, uint64_t at_ns) {
    const uint32_t block = flow[1] != 0 ? flow[1] : UINT32_MAX;
    const uint64_t gap_ns = (uint64_t)(flow[2] <= GAP_MS_MAX ? flow[2] : 1) * NS_PER_MS;
    for (uint32_t i = 0; i < block && tester->sent < tester->length; i++) {
        const uint32_t left = tester->length - tester->sent;
        const uint8_t head[1] = {(uint8_t)(PCI_NEXT | (++tester->order & 0xF))};
        send(tester, buses, head, sizeof head, left < NEXT_BYTES ? left : NEXT_BYTES, at_ns + i * gap_ns);
    }
    tester->waiting = tester->sent < tester->length;
}

/* Flow control for the DUT, after so many that ask it to wait. */
static void let_go_on(bh_tester *tester, bh_buses *buses, uint32_t waits, uint64_t at_ns) {
    const uint8_t wait[3] = {PCI_FLOW | 1, 0, 0};
    const uint8_t go[3] = {PCI_FLOW, tester->flow[0], tester->flow[1]};
    for (uint32_t i = 0; i < waits; i++) {
        send(tester, buses, wait, sizeof wait, 0, at_ns + (uint64_t)i * WAIT_MS * NS_PER_MS);
    }
    send(tester, buses, go, sizeof go, 0, at_ns + (uint64_t)waits * WAIT_MS * NS_PER_MS);
    tester->block = tester->flow[0];
}

void bh_tester_flow(bh_tester *tester, const uint8_t *flow, uint32_t length) {
    memset(tester->flow, 0, sizeof tester->flow);
    memcpy(tester->flow, flow, length);
}

void bh_tester_hear(bh_tester *tester, bh_buses *buses, const fil_frame *frame, uint64_t end_ns) {
    const int extended = (frame->flags & FIL_FRAME_EXTENDED) != 0;
    if (!tester->config.enabled || frame->id != tester->config.response_id || frame->bus != tester->config.bus ||
        extended != (tester->config.extended != 0) || frame->length < 3) {
        return;
    }
    const uint8_t kind = frame->data[0] & PCI_MASK;
    if (kind == PCI_FIRST && tester->asked) {
        const uint32_t length = (uint32_t)(frame->data[0] & 0xF) << 8 | frame->data[1];
        tester->coming = length > FIRST_BYTES ? (length - FIRST_BYTES + NEXT_BYTES - 1) / NEXT_BYTES : 0;
        let_go_on(tester, buses, tester->flow[2], end_ns);
    } else if (kind == PCI_NEXT && tester->coming > 0) {
        tester->coming--;
        if (tester->block > 0 && --tester->block == 0 && tester->coming > 0) {
            /* Not at once: a DUT that does not wait for it is seen to go on. */
            let_go_on(tester, buses, 0, end_ns + (uint64_t)BLOCK_MS * NS_PER_MS);
        }
    } else if (frame->data[0] == PCI_FLOW && tester->waiting) {
        go_on(tester, buses, frame->data, end_ns);
    } else if (frame->data[0] == (PCI_FLOW | 2)) {
        tester->waiting = 0; /* too long for the DUT */
    }
}
