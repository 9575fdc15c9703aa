#include "fs.h"

/*
 * Archive headers are mostly zeros. The stream is a sequence of: varint n, n literal bytes, varint z (z zero bytes).
 * The file starts with an eight-byte magic. A run of zeros shorter than four stays literal.
 */
static const char MAGIC[8] = "tcskel1";

enum { LITERAL_ROOM = 1 << 16 };

static void put_varint(FILE *file, uint64_t value) {
    for (; value >= 0x80; value >>= 7) putc_unlocked((int)(value & 0x7f) | 0x80, file);
    putc_unlocked((int)value, file);
}

static uint64_t get_varint(FILE *file, bool *end) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        int byte = getc_unlocked(file);
        if (byte == EOF) {
            if (shift == 0 && end) {
                *end = true;
                return 0;
            }
            fail(EXIT_BAD_INPUT, "the layer's skeleton is cut off");
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) break;
    }
    return value;
}

struct skeleton *skeleton_create(const char *path) {
    struct skeleton *skeleton = must_alloc(sizeof *skeleton);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    skeleton->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!skeleton->file) fail_errno(path);
    skeleton->literal = must_alloc(LITERAL_ROOM);
    fwrite(MAGIC, 1, sizeof MAGIC, skeleton->file);
    return skeleton;
}

static void write_run(struct skeleton *skeleton) {
    if (skeleton->literal_length == 0 && skeleton->zeros == 0) return;
    put_varint(skeleton->file, skeleton->literal_length);
    fwrite(skeleton->literal, 1, skeleton->literal_length, skeleton->file);
    put_varint(skeleton->file, skeleton->zeros);
    skeleton->literal_length = 0;
    skeleton->zeros = 0;
}

void skeleton_write(struct skeleton *skeleton, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t zeros = 0;
        while (i + zeros < size && data[i + zeros] == 0) zeros++;
        if (zeros > 0 && (skeleton->zeros > 0 || zeros >= 4)) {
            skeleton->zeros += zeros;
            i += zeros;
            continue;
        }
        if (skeleton->zeros > 0 || skeleton->literal_length == LITERAL_ROOM) write_run(skeleton);
        skeleton->literal[skeleton->literal_length++] = data[i++];
    }
}

void skeleton_close(struct skeleton *skeleton) {
    write_run(skeleton);
    if (ferror(skeleton->file) || fclose(skeleton->file) != 0) fail_errno("the layer's skeleton");
}

struct skeleton *skeleton_open(const char *path) {
    struct skeleton *skeleton = must_alloc(sizeof *skeleton);
    skeleton->file = fopen(path, "re");
    if (!skeleton->file) fail_errno(path);
    char magic[sizeof MAGIC];
    if (fread(magic, 1, sizeof magic, skeleton->file) != sizeof magic || memcmp(magic, MAGIC, sizeof magic) != 0)
        fail(EXIT_BAD_INPUT, "%s is no skeleton of a layer", path);
    return skeleton;
}

size_t skeleton_read(struct skeleton *skeleton, uint8_t *data, size_t size) {
    size_t done = 0;
    while (done < size) {
        if (skeleton->literal_length > 0) {
            size_t take = size - done < skeleton->literal_length ? size - done : skeleton->literal_length;
            if (fread(data + done, 1, take, skeleton->file) != take)
                fail(EXIT_BAD_INPUT, "the layer's skeleton is cut off");
            skeleton->literal_length -= take;
            done += take;
            if (skeleton->literal_length == 0) skeleton->zeros = get_varint(skeleton->file, NULL);
        } else if (skeleton->zeros > 0) {
            size_t take = size - done < skeleton->zeros ? size - done : (size_t)skeleton->zeros;
            memset(data + done, 0, take);
            skeleton->zeros -= take;
            done += take;
        } else {
            bool end = false;
            skeleton->literal_length = get_varint(skeleton->file, &end);
            if (end) break;
            if (skeleton->literal_length == 0) skeleton->zeros = get_varint(skeleton->file, NULL);
        }
    }
    return done;
}
