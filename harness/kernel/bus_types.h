/* SPDX-License-Identifier: Apache-2.0
 *
 * bus_types.h - the virtual CAN buses and the messages of the rest bus, as Python configures them.
 */
#ifndef BH_BUS_TYPES_H
#define BH_BUS_TYPES_H

#include <stdint.h>

#include "fil.h"

/* BH_NODE_FOREIGN is one that does not belong there: it sends only because of a fault or by hand. BH_NODE_PEER stands for
 * the other strings of a group, and all that is sent for them (group.c). */
enum {
    BH_NODE_DUT = 0,
    BH_NODE_VEHICLE = 1,
    BH_NODE_CHARGER = 2,
    BH_NODE_TESTER = 3,
    BH_NODE_FOREIGN = 4,
    BH_NODE_PEER = 5,
    BH_N_NODES = 6
};

/* Marks in the flags of a recorded frame, besides FIL_FRAME_*. */
enum {
    BH_FRAME_UNHEARD = 1 << 5, /* on the wire, but its receiver did not get it (the DUT, or the others for its own) */
    BH_FRAME_BENT = 1 << 6     /* a fault changed or forged it, or sent it at another time or once more */
};

/* Fault confinement of one node on one bus (ISO 11898-1). */
enum { BH_ERROR_ACTIVE = 0, BH_ERROR_PASSIVE = 1, BH_BUS_OFF = 2 };

/* Why an error frame was sent: its first data byte in the trace. The second is the transmit error counter of the node
 * whose frame it destroyed, at most 255. */
enum {
    BH_CAUSE_BIT = 1,      /* the sender read back another bit than it sent */
    BH_CAUSE_COLLISION,    /* two nodes sent the same identifier with different content */
    BH_CAUSE_CHECKSUM,     /* a receiver found the CRC wrong */
    BH_CAUSE_ACKNOWLEDGE   /* nobody acknowledged */
};

typedef struct bh_node_status {
    int32_t state; /* BH_ERROR_ACTIVE ... */
    int32_t transmit_errors;
    int32_t receive_errors;
    int32_t recovering; /* bus-off and counting 128 times 11 recessive bits */
    uint64_t since_ns;  /* when the state last changed */
} bh_node_status;

typedef struct bh_bus_config {
    int32_t n_buses;
    uint32_t bitrate;      /* nominal */
    uint32_t data_bitrate; /* FD data phase; 0 = classic only */
} bh_bus_config;

/* Messages of a charger that speaks GB/T 27930; the last stands for its answers to packets. */
enum {
    BH_GBT_CHM = 0,
    BH_GBT_CRM,
    BH_GBT_CTS,
    BH_GBT_CML,
    BH_GBT_CRO,
    BH_GBT_CCS,
    BH_GBT_CST,
    BH_GBT_CSD,
    BH_GBT_CEM,
    BH_GBT_TRANSPORT,
    BH_N_GBT_SENT
};

/* Messages it hears. */
enum {
    BH_GBT_BHM = 0,
    BH_GBT_BRM,
    BH_GBT_BCP,
    BH_GBT_BRO,
    BH_GBT_BCL,
    BH_GBT_BCS,
    BH_GBT_BSM,
    BH_GBT_BST,
    BH_GBT_BSD,
    BH_GBT_BEM,
    BH_N_GBT_HEARD
};

/* Why it stops: the fields of CST. */
enum { BH_GBT_STOP_REACHED = 0, BH_GBT_STOP_MANUAL, BH_GBT_STOP_FAULT, BH_GBT_STOP_BMS, BH_N_GBT_STOPS };

/* What charger and BMS speak with each other. */
enum { BH_PROTOCOL_CYCLIC = 0 /* messages of the rest bus */, BH_PROTOCOL_GBT_27930 };

/* Environment values that cyclic messages carry and that frames of the DUT command. */
enum {
    BH_VALUE_NONE = 0,
    BH_VALUE_CHARGER_VOLTAGE_V, /* sent: measured by the charger */
    BH_VALUE_CHARGER_CURRENT_A, /* sent: delivered, positive = into the pack */
    BH_VALUE_LINK_VOLTAGE_V,    /* sent: measured by the inverter */
    BH_VALUE_VEHICLE_POWER_W,   /* sent */
    BH_VALUE_CHARGE_LIMIT_A,    /* received from the DUT */
    BH_VALUE_DISCHARGE_LIMIT_A, /* received from the DUT */
    BH_VALUE_CHARGE_VOLTAGE_LIMIT_V, /* received from the DUT */
    BH_VALUE_READY_TO_DRIVE,    /* received from the DUT: 1 = the vehicle may draw power */
    BH_VALUE_READY_TO_CHARGE,   /* received from the DUT: 1 = the charger may deliver */
    BH_VALUE_LINE_VOLTAGE_V,    /* sent: measured at the pole */
    BH_VALUE_POLE_CONTACT,      /* sent: 1 = the poles are on the overhead line */
    BH_N_VALUES
};

/* Where one number sits in a frame: sawtooth bit numbering as in DBC files. raw = (value - offset) / scale. */
typedef struct bh_field {
    int32_t value; /* BH_VALUE_* */
    int32_t message; /* sent: index of the bh_message. received: unused */
    uint32_t id;     /* received: identifier and ... */
    uint8_t extended;
    uint8_t bus;
    uint8_t big_endian;
    uint8_t is_signed;
    uint16_t start_bit;
    uint16_t length;
    double scale;
    double offset;
    /* received enumerations: value counts as 1 when match_min <= raw <= match_max, otherwise 0; both 0 = a plain number */
    int64_t match_min;
    int64_t match_max;
} bh_field;

/* Where the data identifier goes into a CRC. */
enum {
    BH_ID_LOW = 0,     /* its low byte, before the payload */
    BH_ID_NONE,
    BH_ID_BOTH,        /* low, then high byte, before the payload (E2E profile 1, mode "both") */
    BH_ID_ALTERNATING, /* low byte when the counter is even, otherwise high byte (profile 1, mode "alt") */
    BH_ID_NIBBLE,      /* low byte, then 0; bits 8..11 are sent above the counter (profile 1, mode "nibble") */
    BH_ID_BOTH_AFTER,  /* low, then high byte, behind the payload (profile 5) */
    BH_ID_LIST_AFTER   /* the byte of the list that the counter picks, behind the payload (profile 2) */
};

/* A cyclic message of the rest bus. Counter and CRC are put in at every sending. */
typedef struct bh_message {
    uint32_t id;
    uint8_t flags; /* FIL_FRAME_* */
    uint8_t bus;
    uint8_t node; /* BH_NODE_* */
    uint8_t length;
    uint32_t period_us;
    uint32_t offset_us;
    uint8_t payload[64];
    int16_t counter_start_bit; /* little endian; -1 = none */
    int16_t counter_length;
    int16_t counter_max; /* wraps to 0 after this value */
    int16_t crc_byte;    /* -1 = none */
    uint8_t crc_polynomial;
    uint8_t crc_initial;
    uint8_t crc_final_xor;
    uint8_t crc_data_id; /* fed into the CRC before the payload without the CRC byte */
    uint8_t enabled;
    uint8_t requires_plug; /* sent only while the charge plug is in */
    /* any other CRC over the payload without its own bytes: used instead of crc_polynomial ... crc_data_id when
     * e2e_width is not 0 */
    uint8_t e2e_width;      /* 8, or 16: crc_byte and the byte behind it */
    uint8_t e2e_reflected;  /* bits of data and result in reversed order */
    uint8_t e2e_big_endian; /* CRC-16: the high byte is at crc_byte */
    uint8_t e2e_id_mode;    /* BH_ID_* */
    uint16_t e2e_polynomial; /* not reflected */
    uint16_t e2e_initial;
    uint16_t e2e_final_xor;
    uint16_t e2e_data_id;
    uint8_t e2e_data_ids[16]; /* BH_ID_LIST_AFTER */
} bh_message;

/* The diagnostic tester: which identifiers it and the DUT use. */
typedef struct bh_tester_config {
    uint32_t request_id;
    uint32_t response_id;
    uint8_t enabled;
    uint8_t extended; /* identifiers of 29 bits */
    uint8_t bus;
    uint8_t reserved;
} bh_tester_config;

enum { BH_TESTER_BYTES = 64, BH_FRAME_BYTES = 8 }; /* of the longest request, of a bare frame */

#endif
