/* SPDX-License-Identifier: Apache-2.0
 *
 * outside_types.h - what crosses the border of the simulation while it is stepped against the wall clock: inputs that
 * come from instruments instead of the plant, and frames that go to a real bus. Python reads and writes these structs
 * in place between two runs. Both lie in the arena, so a checkpoint has them: loading one puts back the masks, the
 * values and the frames that were waiting when it was saved.
 */
#ifndef BH_OUTSIDE_TYPES_H
#define BH_OUTSIDE_TYPES_H

#include <stdint.h>

#include "fil.h"

/* Which inputs come from outside: each with its flags, cells and temperatures all at once. */
enum {
    BH_OUTSIDE_CELLS = 1 << 0,
    BH_OUTSIDE_TEMPS = 1 << 1,
    BH_OUTSIDE_CURRENT = 1 << 2,
    BH_OUTSIDE_PACK = 1 << 3,
    BH_OUTSIDE_LINK = 1 << 4,
    BH_OUTSIDE_CHARGER = 1 << 5,
    BH_OUTSIDE_INSULATION = 1 << 6,
    BH_OUTSIDE_SUPPLY = 1 << 7 /* decides, too, whether the controller runs */
};

/* What the controller is given instead of what plant and faults say, from the next tick on. Fields have the meaning of
 * those of fil_inputs. */
typedef struct bh_outside {
    uint32_t given;         /* BH_OUTSIDE_* */
    uint32_t digital_given; /* FIL_IN_* bits: these of digital_in */
    uint32_t digital_in;
    int32_t current_ma;
    int32_t pack_mv;
    int32_t link_mv;
    int32_t charger_mv;
    uint32_t insulation_ohm;
    int32_t supply_mv;
    uint8_t current_flags;
    uint8_t pack_flags;
    uint8_t link_flags;
    uint8_t insulation_flags;
    int32_t *cell_uv;    /* [n_cells] */
    uint8_t *cell_flags; /* [n_cells] */
    int32_t *temp_mdegc; /* [n_temps] */
    uint8_t *temp_flags; /* [n_temps] */
} bh_outside;

/* A frame a node handed to its CAN controller, faults on frames done, before it waits for the bus. */
typedef struct bh_out_frame {
    uint64_t release_ns; /* not before this time */
    fil_frame frame;
    uint8_t node; /* BH_NODE_* */
    uint8_t reserved[3];
} bh_out_frame;

enum { BH_OUTLET_FRAMES = 256 };

/* Frames for a real bus, in the order they were handed over; they go over the virtual bus as well. The reader sets n to
 * 0. */
typedef struct bh_outlet {
    uint32_t nodes; /* bits 1 << BH_NODE_*: whose frames; 0 = none */
    int32_t n;
    uint64_t lost;        /* for which there was no room */
    bh_out_frame *frames; /* [BH_OUTLET_FRAMES] */
} bh_outlet;

#endif
