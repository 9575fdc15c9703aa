#include "fs.h"

/*
 * gzip (RFC 1952) and deflate (RFC 1951) as a stream: `gunzip_read` fills a buffer and remembers where it stood. Input
 * is read when it is needed; several members after each other are one stream, as for gzip(1).
 */

enum {
    WINDOW = 32768, CHUNK = 1 << 19, LONGEST_MATCH = 258, INPUT = 1 << 18,
    LITERAL_BITS = 11, DISTANCE_BITS = 8, LITERAL_ROOM = 4096, DISTANCE_ROOM = 1024, MAX_BITS = 15
};

/* Table entries: bits 0-7 length of the code, 8-15 kind, 16-31 value. */
enum { KIND_EXTRA = 0x1f, KIND_LITERAL = 0x80, KIND_END = 0x40, KIND_SUBTABLE = 0x20, INVALID = 0 };

enum phase { PHASE_MEMBER, PHASE_BLOCK, PHASE_STORED, PHASE_CODES, PHASE_TRAILER, PHASE_END };

struct gunzip {
    size_t (*more)(void *context, uint8_t *into, size_t room);
    void *context;
    uint8_t input[INPUT + 8];
    size_t at, filled;
    bool input_ended;
    uint64_t bits;
    unsigned count;
    enum phase phase;
    bool last_block, fixed_ready;
    uint32_t stored_left, crc, member_size;
    uint32_t literals[LITERAL_ROOM], distances[DISTANCE_ROOM];
    uint8_t output[WINDOW + CHUNK + LONGEST_MATCH + 64];
    size_t out, taken; /* `out`: end of what was decoded; `taken`: end of what was handed on */
    size_t history;    /* bytes before `out` that a match may reach */
};

static uint32_t crc_table[8][256];

static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        crc_table[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

#define FAST __attribute__((optimize("O3")))

FAST static uint32_t crc_of(uint32_t crc, const uint8_t *data, size_t size) {
    crc = ~crc;
    for (; size >= 8; size -= 8, data += 8) {
        uint32_t low, high;
        memcpy(&low, data, 4);
        memcpy(&high, data + 4, 4);
        low ^= crc;
        crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff] ^
              crc_table[4][low >> 24] ^ crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff] ^
              crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
    }
    for (; size--; data++) crc = crc >> 8 ^ crc_table[0][(crc ^ *data) & 0xff];
    return ~crc;
}

static _Noreturn void damaged(void) { fail(EXIT_BAD_INPUT, "damaged gzip data"); }

struct gunzip *gunzip_open(size_t (*more)(void *, uint8_t *, size_t), void *context) {
    struct gunzip *gunzip = must_alloc(sizeof *gunzip);
    gunzip->more = more;
    gunzip->context = context;
    if (!crc_table[0][1]) make_crc_table();
    return gunzip;
}

static bool refill_input(struct gunzip *g) {
    if (g->input_ended) return false;
    g->at = 0;
    g->filled = g->more(g->context, g->input, INPUT);
    if (g->filled == 0) g->input_ended = true;
    return g->filled > 0;
}

/* At least 48 bits, or what is left; absent ones read as zeros and `count` tells. */
static inline void refill(struct gunzip *g) {
    if (g->at + 8 <= g->filled) {
        uint64_t word;
        memcpy(&word, g->input + g->at, 8); /* little endian, as all machines are that this runs on */
        g->bits |= word << g->count;
        g->at += (63 - g->count) >> 3;
        g->count |= 56;
        return;
    }
    while (g->count <= 56) {
        if (g->at == g->filled && !refill_input(g)) return;
        g->bits |= (uint64_t)g->input[g->at++] << g->count;
        g->count += 8;
    }
}

static inline void consume(struct gunzip *g, unsigned count) {
    if (count > g->count) damaged();
    g->bits >>= count;
    g->count -= count;
}

static uint32_t take_bits(struct gunzip *g, unsigned count) {
    if (g->count < count) refill(g);
    uint32_t value = (uint32_t)(g->bits & ((1ULL << count) - 1));
    consume(g, count);
    return value;
}

/* Makes a decoding table of `lengths`; `entry_of` gives kind and value of a symbol. False for a code that is none. */
static bool make_table(uint32_t *table, size_t room, unsigned root, const uint8_t *lengths, unsigned symbols,
                       uint32_t (*entry_of)(unsigned symbol)) {
    unsigned counts[MAX_BITS + 1] = {0}, next[MAX_BITS + 2] = {0}, used = 0;
    uint8_t deepest[1 << LITERAL_BITS] = {0};
    for (unsigned i = 0; i < symbols; i++) counts[lengths[i]]++;
    counts[0] = 0;
    int left = 1;
    for (unsigned length = 1; length <= MAX_BITS; length++) {
        left = (left << 1) - (int)counts[length];
        if (left < 0) return false;
        next[length + 1] = (next[length] + counts[length]) << 1;
        used += counts[length];
    }
    /* Only a code of one symbol may be incomplete, and none at all where no match is used. */
    if (left > 0 && (used > 1 || (used == 1 && counts[1] != 1))) return false;
    memset(table, 0, room * sizeof *table);
    uint16_t codes[288];
    for (unsigned i = 0; i < symbols; i++) {
        if (!lengths[i]) continue;
        unsigned code = next[lengths[i]]++, reversed = 0;
        for (unsigned bit = 0; bit < lengths[i]; bit++) reversed |= (code >> bit & 1) << (lengths[i] - 1 - bit);
        codes[i] = (uint16_t)reversed;
        unsigned prefix = reversed & ((1u << root) - 1);
        if (lengths[i] > root && lengths[i] - root > deepest[prefix]) deepest[prefix] = (uint8_t)(lengths[i] - root);
    }
    size_t end = (size_t)1 << root;
    for (unsigned i = 0; i < symbols; i++) {
        unsigned length = lengths[i];
        if (!length) continue;
        uint32_t entry = entry_of(i);
        if (length <= root) {
            for (size_t at = codes[i]; at < (size_t)1 << root; at += (size_t)1 << length) table[at] = entry | length;
            continue;
        }
        unsigned prefix = codes[i] & ((1u << root) - 1), depth = deepest[prefix];
        if (!table[prefix]) {
            if (end + ((size_t)1 << depth) > room) return false;
            table[prefix] = (uint32_t)end << 16 | (KIND_SUBTABLE | depth) << 8 | root;
            end += (size_t)1 << depth;
        }
        uint32_t *sub = table + (table[prefix] >> 16);
        for (size_t at = codes[i] >> root; at < (size_t)1 << depth; at += (size_t)1 << (length - root))
            sub[at] = entry | (length - root);
    }
    return true;
}

static uint32_t literal_entry(unsigned symbol) {
    static const uint16_t base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    if (symbol < 256) return (uint32_t)symbol << 16 | KIND_LITERAL << 8;
    if (symbol == 256) return KIND_END << 8;
    if (symbol > 285) return KIND_SUBTABLE << 8; /* never stands for anything: refused when met */
    return (uint32_t)base[symbol - 257] << 16 | (uint32_t)extra[symbol - 257] << 8;
}

static uint32_t distance_entry(unsigned symbol) {
    if (symbol > 29) return KIND_SUBTABLE << 8;
    unsigned extra = symbol < 4 ? 0 : symbol / 2 - 1;
    unsigned base = symbol < 4 ? symbol + 1 : ((2 + (symbol & 1)) << extra) + 1;
    /* 24,577 is the largest; it fits 16 bits. */
    return (uint32_t)base << 16 | extra << 8;
}

static uint32_t length_entry(unsigned symbol) { return (uint32_t)symbol << 16 | KIND_LITERAL << 8; }

static void fixed_tables(struct gunzip *g) {
    uint8_t lengths[288];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    make_table(g->literals, LITERAL_ROOM, LITERAL_BITS, lengths, 288, literal_entry);
    memset(lengths, 5, 32);
    make_table(g->distances, DISTANCE_ROOM, DISTANCE_BITS, lengths, 32, distance_entry);
}

static void dynamic_tables(struct gunzip *g) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    unsigned literals = take_bits(g, 5) + 257, distances = take_bits(g, 5) + 1, codes = take_bits(g, 4) + 4;
    uint8_t lengths[320] = {0};
    uint32_t table[128];
    if (literals > 286 || distances > 30) damaged();
    for (unsigned i = 0; i < codes; i++) lengths[order[i]] = (uint8_t)take_bits(g, 3);
    if (!make_table(table, 128, 7, lengths, 19, length_entry)) damaged();
    memset(lengths, 0, sizeof lengths);
    for (unsigned at = 0; at < literals + distances;) {
        refill(g);
        uint32_t entry = table[g->bits & 127];
        if (entry == INVALID) damaged();
        consume(g, entry & 0xff);
        unsigned symbol = entry >> 16, repeat = 1, value = symbol;
        if (symbol >= 16) {
            if (symbol == 16 && at == 0) damaged();
            value = symbol == 16 ? lengths[at - 1] : 0;
            repeat = symbol == 16 ? 3 + take_bits(g, 2) : symbol == 17 ? 3 + take_bits(g, 3) : 11 + take_bits(g, 7);
        }
        if (at + repeat > literals + distances) damaged();
        memset(lengths + at, (int)value, repeat);
        at += repeat;
    }
    if (lengths[256] == 0) damaged();
    uint8_t distance_lengths[32] = {0};
    memcpy(distance_lengths, lengths + literals, distances);
    if (!make_table(g->literals, LITERAL_ROOM, LITERAL_BITS, lengths, literals, literal_entry) ||
        !make_table(g->distances, DISTANCE_ROOM, DISTANCE_BITS, distance_lengths, distances, distance_entry))
        damaged();
}

static inline uint32_t look_up(struct gunzip *g, const uint32_t *table, unsigned root) {
    uint32_t entry = table[g->bits & ((1u << root) - 1)];
    if ((entry >> 8 & KIND_SUBTABLE) && (entry >> 16)) {
        consume(g, root);
        entry = table[(entry >> 16) + (g->bits & ((1u << (entry >> 8 & 0xf)) - 1))];
    }
    if ((entry & 0xff) == 0 || (entry >> 8 & KIND_SUBTABLE)) damaged();
    consume(g, entry & 0xff);
    return entry;
}

static inline __attribute__((always_inline)) void copy_match(uint8_t *to, size_t distance, size_t length) {
    const uint8_t *from = to - distance;
    if (distance >= 8) {
        /* Up to seven bytes too many: there is room for them, and they are written over. */
        for (size_t done = 0; done < length; done += 8) memcpy(to + done, from + done, 8);
    } else {
        for (size_t done = 0; done < length; done++) to[done] = from[done];
    }
}

/*
 * The bulk of it: as long as the input has bytes for a whole step, everything stays in registers. Bits are taken as in
 * `refill`: at least 56 are there after it, which is enough for three literals (15 bits each) or for a length (15 + 5)
 * and a distance (15 + 13) behind a literal that was taken from the same ones.
 */
FAST static void decode_fast(struct gunzip *g) {
    const uint8_t *in = g->input + g->at, *const in_safe = g->input + g->filled;
    uint8_t *out = g->output + g->out, *const begin = out, *const limit = g->output + WINDOW + CHUNK;
    const uint8_t *const lowest = out - g->history;
    uint64_t bits = g->bits;
    unsigned count = g->count;
    const uint32_t *const literals = g->literals, *const distances = g->distances;
#define REFILL() do { uint64_t word; memcpy(&word, in, 8); bits |= word << count; in += (63 - count) >> 3; count |= 56; } while (0)
#define DROP(n) do { unsigned drop_ = (n); bits >>= drop_; count -= drop_; } while (0)
    while (in_safe - in >= 16 && out < limit) {
        REFILL();
        uint32_t entry = literals[bits & ((1u << LITERAL_BITS) - 1)];
        if (entry >> 8 & KIND_LITERAL) {
            DROP(entry & 0xff);
            *out++ = (uint8_t)(entry >> 16);
            entry = literals[bits & ((1u << LITERAL_BITS) - 1)];
            if (entry >> 8 & KIND_LITERAL) {
                DROP(entry & 0xff);
                *out++ = (uint8_t)(entry >> 16);
                entry = literals[bits & ((1u << LITERAL_BITS) - 1)];
            }
            REFILL();
        }
        if ((entry >> 8 & KIND_SUBTABLE) && (entry >> 16)) {
            DROP(LITERAL_BITS);
            entry = literals[(entry >> 16) + (bits & ((1u << (entry >> 8 & 0xf)) - 1))];
        }
        if ((entry & 0xff) == 0 || (entry >> 8 & KIND_SUBTABLE)) damaged();
        DROP(entry & 0xff);
        if (entry >> 8 & KIND_LITERAL) {
            *out++ = (uint8_t)(entry >> 16);
            continue;
        }
        if (entry >> 8 & KIND_END) {
            g->phase = g->last_block ? PHASE_TRAILER : PHASE_BLOCK;
            break;
        }
        unsigned extra = entry >> 8 & KIND_EXTRA;
        size_t length = (entry >> 16) + (bits & ((1u << extra) - 1));
        DROP(extra);
        entry = distances[bits & ((1u << DISTANCE_BITS) - 1)];
        if ((entry >> 8 & KIND_SUBTABLE) && (entry >> 16)) {
            DROP(DISTANCE_BITS);
            entry = distances[(entry >> 16) + (bits & ((1u << (entry >> 8 & 0xf)) - 1))];
        }
        if ((entry & 0xff) == 0 || (entry >> 8 & KIND_SUBTABLE)) damaged();
        DROP(entry & 0xff);
        extra = entry >> 8 & KIND_EXTRA;
        size_t distance = (entry >> 16) + (bits & ((1u << extra) - 1));
        DROP(extra);
        if (distance > (size_t)(out - lowest)) damaged();
        copy_match(out, distance, length);
        out += length;
    }
#undef REFILL
#undef DROP
    g->at = (size_t)(in - g->input);
    g->bits = bits;
    g->count = count;
    g->history += (size_t)(out - begin);
    g->out += (size_t)(out - begin);
}

/* Decodes until the block ends or the chunk is full; this is for where the input runs out. */
static void decode_codes(struct gunzip *g) {
    size_t out, limit = WINDOW + CHUNK;
    decode_fast(g);
    if (g->phase != PHASE_CODES || g->out >= limit) return;
    out = g->out;
    const size_t lowest = out - g->history;
    /* Back to the other way as soon as there is input again. */
    for (size_t from = g->at; out < limit && g->at >= from && g->filled - g->at < 32;) {
        refill(g);
        uint32_t entry = look_up(g, g->literals, LITERAL_BITS);
        if (entry >> 8 & KIND_LITERAL) {
            g->output[out++] = (uint8_t)(entry >> 16);
            continue;
        }
        if (entry >> 8 & KIND_END) {
            g->phase = g->last_block ? PHASE_TRAILER : PHASE_BLOCK;
            break;
        }
        size_t length = (entry >> 16) + take_bits(g, entry >> 8 & KIND_EXTRA);
        refill(g);
        entry = look_up(g, g->distances, DISTANCE_BITS);
        size_t distance = (entry >> 16) + take_bits(g, entry >> 8 & KIND_EXTRA);
        if (distance > out - lowest) damaged();
        copy_match(g->output + out, distance, length);
        out += length;
    }
    g->history += out - g->out;
    g->out = out;
}

static void decode_stored(struct gunzip *g) {
    while (g->stored_left > 0 && g->out < WINDOW + CHUNK) {
        size_t size = WINDOW + CHUNK - g->out;
        if (size > g->stored_left) size = g->stored_left;
        if (g->count >= 8) {
            g->output[g->out] = (uint8_t)take_bits(g, 8);
            size = 1;
        } else {
            if (g->at == g->filled && !refill_input(g)) damaged();
            if (size > g->filled - g->at) size = g->filled - g->at;
            memcpy(g->output + g->out, g->input + g->at, size);
            g->at += size;
        }
        g->out += size;
        g->history += size;
        g->stored_left -= (uint32_t)size;
    }
    if (g->stored_left == 0) g->phase = g->last_block ? PHASE_TRAILER : PHASE_BLOCK;
}

static void begin_block(struct gunzip *g) {
    g->last_block = take_bits(g, 1);
    switch (take_bits(g, 2)) {
    case 0: {
        consume(g, g->count % 8);
        uint32_t length = take_bits(g, 16), check = take_bits(g, 16);
        if (length != (~check & 0xffff)) damaged();
        /* The fast refill may have looked ahead at bytes that it did not count. */
        g->bits &= g->count < 64 ? (1ULL << g->count) - 1 : ~0ULL;
        g->stored_left = length;
        g->phase = PHASE_STORED;
        break;
    }
    case 1:
        fixed_tables(g);
        g->phase = PHASE_CODES;
        break;
    case 2:
        dynamic_tables(g);
        g->phase = PHASE_CODES;
        break;
    default: damaged();
    }
}

/* The header of a member; at the end of the input, or of padding after a member, the stream ends. */
static void begin_member(struct gunzip *g, bool first) {
    refill(g);
    if (!first && (g->count < 8 || (g->bits & 0xff) == 0)) {
        while (g->count >= 8)
            if (take_bits(g, 8) != 0) damaged();
        while (g->at < g->filled || refill_input(g))
            if (g->input[g->at++] != 0) damaged();
        g->phase = PHASE_END;
        return;
    }
    if (take_bits(g, 16) != 0x8b1f || take_bits(g, 8) != 8) damaged();
    unsigned flags = take_bits(g, 8);
    if (flags & 0xe0) damaged();
    take_bits(g, 32);
    take_bits(g, 16);
    if (flags & 4)
        for (unsigned left = take_bits(g, 16); left > 0; left--) take_bits(g, 8);
    for (unsigned text = flags & 8 ? 1 : 0; text && take_bits(g, 8) != 0;) continue;
    for (unsigned text = flags & 16 ? 1 : 0; text && take_bits(g, 8) != 0;) continue;
    if (flags & 2) take_bits(g, 16);
    g->crc = g->member_size = 0;
    g->history = 0;
    g->phase = PHASE_BLOCK;
}

static void end_member(struct gunzip *g) {
    consume(g, g->count % 8);
    uint32_t crc = take_bits(g, 16);
    crc |= take_bits(g, 16) << 16;
    uint32_t size = take_bits(g, 16);
    size |= take_bits(g, 16) << 16;
    if (crc != g->crc || size != g->member_size) damaged();
    begin_member(g, false);
}

size_t gunzip_read(struct gunzip *g, uint8_t *into, size_t room) {
    if (g->out == 0) {
        g->out = g->taken = WINDOW;
        begin_member(g, true);
    }
    while (g->taken == g->out && g->phase != PHASE_END) {
        if (g->out >= WINDOW + CHUNK) {
            memmove(g->output, g->output + g->out - WINDOW, WINDOW);
            g->out = g->taken = WINDOW;
        }
        if (g->history > WINDOW) g->history = WINDOW;
        size_t before = g->out;
        switch (g->phase) {
        case PHASE_BLOCK: begin_block(g); break;
        case PHASE_STORED: decode_stored(g); break;
        case PHASE_CODES: decode_codes(g); break;
        case PHASE_TRAILER: end_member(g); break;
        default: damaged();
        }
        if (g->out > before) {
            g->crc = crc_of(g->crc, g->output + before, g->out - before);
            g->member_size += (uint32_t)(g->out - before);
        }
    }
    size_t size = g->out - g->taken < room ? g->out - g->taken : room;
    memcpy(into, g->output + g->taken, size);
    g->taken += size;
    return size;
}
