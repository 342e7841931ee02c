/* SPDX-License-Identifier: Apache-2.0
 *
 * tester.h - the diagnostic tester's end of ISO 15765-2: it sends requests of any length and lets the DUT send on.
 */
#ifndef BH_TESTER_H
#define BH_TESTER_H

#include "bus.h"
#include "internal.h"

enum { BH_TESTER_FLOW = 3 };

typedef struct bh_tester {
    bh_tester_config config;
    uint8_t message[BH_TESTER_BYTES]; /* under way */
    uint32_t length;
    uint32_t sent;    /* bytes of it */
    uint32_t order;   /* frames of it after the first */
    uint8_t waiting;  /* for a flow control */
    uint8_t flow[BH_TESTER_FLOW]; /* asked of the DUT: block size, least gap as in ISO 15765-2, flow controls to wait */
    uint32_t block;   /* frames of an answer before the next flow control, 0 = all */
    uint32_t coming;  /* frames of an answer still to come */
    uint8_t asked;    /* an answer is expected: only then it is let to go on */
    uint64_t lost;    /* frames the bus had no room for */
} bh_tester;

/* Send a request of 1..BH_TESTER_BYTES bytes; one still under way is given up. */
void bh_tester_request(bh_tester *tester, bh_buses *buses, const uint8_t *message, uint32_t length, uint64_t now_ns);
/* Send one frame of up to 8 bytes as it is. */
void bh_tester_frame(bh_tester *tester, bh_buses *buses, const uint8_t *bytes, uint32_t length, uint64_t now_ns);

/* How answers of several frames are to come from now on: the first 1..BH_TESTER_FLOW bytes of `flow`. */
void bh_tester_flow(bh_tester *tester, const uint8_t *flow, uint32_t length);

/* A frame of the DUT reached the others. */
void bh_tester_hear(bh_tester *tester, bh_buses *buses, const fil_frame *frame, uint64_t end_ns);

#endif
