/* SPDX-License-Identifier: Apache-2.0
 *
 * bits.c - bit stuffing and CRC-15 over the real bits of a frame, a byte at a time (ISO 11898-1).
 *
 * After five equal bits a transmitter inserts one of the other value, from start of frame to the last CRC bit. A
 * stuffing state is the last bit on the wire (bit 2) and how often it has stood there (bits 0..1: once to four times).
 */
#include "bits.h"

enum {
    AFTER_ZERO = 0, /* the last bit was 0, once */
    AFTER_ONE = 4,  /* the last bit was 1, once */
    CRC15_POLYNOMIAL = 0x4599,
    CRC15_BITS = 15,
    /* CRC delimiter, acknowledge slot, its delimiter, seven bits end of frame */
    TRAILER_BITS = 1 + 1 + 1 + 7,
    CLASSIC_STANDARD_BITS = 1 + 11 + 1 + 1 + 1 + 4,           /* SOF id RTR IDE r0 DLC */
    CLASSIC_EXTENDED_BITS = 1 + 11 + 1 + 1 + 18 + 1 + 2 + 4, /* SOF id SRR IDE id RTR r1 r0 DLC */
    FD_CONTROL_BITS = 1 + 4,                                  /* ESI DLC */
    /* four bits stuff count and the CRC, one fixed stuff bit in front and one after every fourth of these bits */
    FD_CRC17_BITS = 4 + 17 + 1 + (4 + 17) / 4,
    FD_CRC21_BITS = 4 + 21 + 1 + (4 + 21) / 4,
    FD_CRC17_MAX_LENGTH = 16
};

static uint32_t step(uint32_t state, uint32_t bit, uint32_t *inserted) {
    if (bit != state >> 2) {
        return bit << 2;
    }
    if ((state & 3) < 3) {
        return state + 1;
    }
    (*inserted)++; /* the fifth equal bit: one of the other value follows */
    return (bit ^ 1) << 2;
}

void bh_bits_init(bh_bit_tables *tables) {
    for (uint32_t state = 0; state < BH_STUFF_STATES; state++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t next = state;
            uint32_t inserted = 0;
            for (int bit = 7; bit >= 0; bit--) {
                next = step(next, byte >> bit & 1, &inserted);
            }
            tables->stuff[state][byte] = (uint8_t)(next | inserted << 3);
        }
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte << 7;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x4000) != 0 ? (crc << 1 ^ CRC15_POLYNOMIAL) & 0x7FFF : crc << 1 & 0x7FFF;
        }
        tables->crc15[byte] = (uint16_t)crc;
    }
}

/* What both walks over a frame carry along. */
typedef struct bh_walk {
    const bh_bit_tables *tables;
    uint32_t state;
    uint32_t inserted;
    uint32_t crc;
} bh_walk;

static inline void stuff_byte(bh_walk *walk, uint32_t byte) {
    const uint32_t entry = walk->tables->stuff[walk->state][byte];
    walk->state = entry & 7;
    walk->inserted += entry >> 3;
}

static inline void crc_byte(bh_walk *walk, uint32_t byte) {
    walk->crc = (walk->crc << 8 & 0x7FFF) ^ walk->tables->crc15[walk->crc >> 7 ^ byte];
}

/* The bits from SOF to the DLC of a classic frame, SOF = 0 the most significant of them. */
static uint64_t classic_header(const fil_frame *frame) {
    const uint64_t remote = (frame->flags & FIL_FRAME_REMOTE) != 0;
    if ((frame->flags & FIL_FRAME_EXTENDED) != 0) {
        return (uint64_t)(frame->id >> 18) << 27 | 3ULL << 25 | (uint64_t)(frame->id & 0x3FFFF) << 7 | remote << 6 |
               frame->length;
    }
    return (uint64_t)frame->id << 7 | remote << 6 | frame->length;
}

/* In front of SOF the walk sees enough alternating bits to fill a byte, the last a 1: they insert nothing. The CRC
 * starts from 0 and does not see leading zeros. */
static bh_bit_count classic_count(const bh_bit_tables *tables, const fil_frame *frame) {
    bh_walk walk = {tables, AFTER_ZERO, 0, 0};
    const int extended = (frame->flags & FIL_FRAME_EXTENDED) != 0;
    const uint64_t header = classic_header(frame);
    const uint64_t padded = header | (extended ? 1ULL << CLASSIC_EXTENDED_BITS : 0x15ULL << CLASSIC_STANDARD_BITS);
    for (int shift = extended ? 32 : 16; shift >= 0; shift -= 8) {
        stuff_byte(&walk, padded >> shift & 0xFF);
        crc_byte(&walk, header >> shift & 0xFF);
    }
    const uint32_t n_bytes = (frame->flags & FIL_FRAME_REMOTE) != 0 ? 0 : frame->length;
    for (uint32_t i = 0; i < n_bytes; i++) {
        stuff_byte(&walk, frame->data[i]);
        crc_byte(&walk, frame->data[i]);
    }
    /* 15 CRC bits and one more that differs from the last of them: it inserts nothing */
    const uint32_t tail = walk.crc << 1 | (~walk.crc & 1);
    stuff_byte(&walk, tail >> 8);
    stuff_byte(&walk, tail & 0xFF);
    const uint32_t header_bits = extended ? CLASSIC_EXTENDED_BITS : CLASSIC_STANDARD_BITS;
    return (bh_bit_count){header_bits + 8 * n_bytes + CRC15_BITS + TRAILER_BITS + walk.inserted, 0};
}

/* Data bytes a CAN FD frame really carries: its length code knows steps only. */
static uint32_t fd_length(uint32_t length) {
    static const uint8_t steps[] = {12, 16, 20, 24, 32, 48, 64};
    if (length <= 8) {
        return length;
    }
    uint32_t i = 0;
    while (steps[i] < length) {
        i++;
    }
    return steps[i];
}

static uint32_t fd_length_code(uint32_t length) {
    if (length <= 8) {
        return length;
    }
    return length <= 24 ? 9 + (length - 12) / 4 : 11 + length / 16;
}

static void stuff_bits(bh_walk *walk, uint32_t bits, int n) {
    for (int i = n - 1; i >= 0; i--) {
        walk->state = step(walk->state, bits >> i & 1, &walk->inserted);
    }
}

/* SOF to the bit before BRS; returns how many bits. */
static uint32_t fd_arbitration(bh_walk *walk, const fil_frame *frame) {
    if ((frame->flags & FIL_FRAME_EXTENDED) != 0) {
        stuff_bits(walk, frame->id >> 18 << 2 | 3, 14);          /* SOF id SRR IDE */
        stuff_bits(walk, (frame->id & 0x3FFFF) << 3 | 2, 18 + 3); /* id RRS FDF res */
        return 14 + 18 + 3;
    }
    stuff_bits(walk, frame->id << 4 | 2, 16); /* SOF id RRS IDE FDF res */
    return 16;
}

/* Up to the last data bit stuff bits come as needed. The CRC field has them at fixed places, the first in front of it:
 * it stands in for one that the last data bit would have called for. The bit-rate switch happens inside the bits BRS
 * and CRC delimiter; here BRS counts as nominal and the CRC delimiter as data. */
static bh_bit_count fd_count(const bh_bit_tables *tables, const fil_frame *frame) {
    bh_walk walk = {tables, AFTER_ONE, 0, 0};
    const uint32_t switches = (frame->flags & FIL_FRAME_BRS) != 0;
    const uint32_t length = fd_length(frame->length);
    const uint32_t before_brs = fd_arbitration(&walk, frame);
    const uint32_t nominal = before_brs + walk.inserted + 1 + TRAILER_BITS - 1;
    const uint32_t control = switches << 5 | fd_length_code(length); /* BRS ESI DLC */
    uint32_t last_bit = control & 1;
    walk.inserted = 0;
    stuff_bits(&walk, control, 1 + FD_CONTROL_BITS);
    for (uint32_t i = 0; i < length; i++) {
        const uint32_t byte = i < frame->length ? frame->data[i] : 0;
        stuff_byte(&walk, byte);
        last_bit = byte & 1;
    }
    const uint32_t replaced = walk.state >> 2 != last_bit; /* the walk ends on a stuff bit */
    const uint32_t crc_bits = length <= FD_CRC17_MAX_LENGTH ? FD_CRC17_BITS : FD_CRC21_BITS;
    const uint32_t data = FD_CONTROL_BITS + 8 * length + walk.inserted - replaced + crc_bits + 1;
    return switches ? (bh_bit_count){nominal, data} : (bh_bit_count){nominal + data, 0};
}

bh_bit_count bh_bits_count(const bh_bit_tables *tables, const fil_frame *frame) {
    return (frame->flags & FIL_FRAME_FD) != 0 ? fd_count(tables, frame) : classic_count(tables, frame);
}

/* ---- bit by bit ---------------------------------------------------------------------------------------------- */

typedef struct bh_stream {
    uint8_t *bits;
    uint32_t n;
    uint32_t state;
    uint32_t crc;
} bh_stream;

static void emit(bh_stream *stream, uint64_t bits, int n) {
    for (int i = n - 1; i >= 0; i--) {
        const uint32_t bit = bits >> i & 1;
        uint32_t inserted = 0;
        stream->bits[stream->n++] = (uint8_t)bit;
        stream->state = step(stream->state, bit, &inserted);
        if (inserted) {
            stream->bits[stream->n++] = (uint8_t)(bit ^ 1);
        }
        const uint32_t out = stream->crc >> (CRC15_BITS - 1) & 1;
        stream->crc = stream->crc << 1 & 0x7FFF;
        stream->crc ^= out != bit ? CRC15_POLYNOMIAL : 0;
    }
}

static void emit_classic(bh_stream *stream, const fil_frame *frame) {
    const int extended = (frame->flags & FIL_FRAME_EXTENDED) != 0;
    const uint32_t n_bytes = (frame->flags & FIL_FRAME_REMOTE) != 0 ? 0 : frame->length;
    emit(stream, classic_header(frame), extended ? CLASSIC_EXTENDED_BITS : CLASSIC_STANDARD_BITS);
    for (uint32_t i = 0; i < n_bytes; i++) {
        emit(stream, frame->data[i], 8);
    }
    emit(stream, stream->crc, CRC15_BITS);
}

static void emit_fd(bh_stream *stream, const fil_frame *frame) {
    const uint32_t switches = (frame->flags & FIL_FRAME_BRS) != 0;
    const uint32_t length = fd_length(frame->length);
    if ((frame->flags & FIL_FRAME_EXTENDED) != 0) {
        emit(stream, frame->id >> 18 << 2 | 3, 14);
        emit(stream, (frame->id & 0x3FFFF) << 3 | 2, 18 + 3);
    } else {
        emit(stream, frame->id << 4 | 2, 16);
    }
    emit(stream, switches << 5 | fd_length_code(length), 1 + FD_CONTROL_BITS);
    for (uint32_t i = 0; i < length; i++) {
        emit(stream, i < frame->length ? frame->data[i] : 0, 8);
    }
}

uint32_t bh_bits_stream(const fil_frame *frame, uint8_t *bits) {
    bh_stream stream = {bits, 0, AFTER_ONE, 0};
    if ((frame->flags & FIL_FRAME_FD) != 0) {
        emit_fd(&stream, frame);
    } else {
        emit_classic(&stream, frame);
    }
    return stream.n;
}

/* Base identifier; RTR (standard) or SRR = 1; IDE; identifier extension; RTR (extended); FDF. A standard frame beats
 * an extended one with the same base, a data frame beats a remote one. */
uint64_t bh_arbitration_key(const fil_frame *frame) {
    const uint64_t remote = (frame->flags & FIL_FRAME_REMOTE) != 0;
    const uint64_t fd = (frame->flags & FIL_FRAME_FD) != 0;
    if ((frame->flags & FIL_FRAME_EXTENDED) != 0) {
        const uint64_t base = frame->id >> 18;
        const uint64_t rest = frame->id & 0x3FFFF;
        return base << 22 | 3ULL << 20 | rest << 2 | remote << 1 | fd;
    }
    return (uint64_t)frame->id << 22 | remote << 21 | fd;
}

uint32_t bh_frame_bits(const fil_frame *frame, uint32_t *data_bits) {
    bh_bit_tables tables;
    bh_bits_init(&tables);
    const bh_bit_count count = bh_bits_count(&tables, frame);
    *data_bits = count.data;
    return count.nominal;
}
