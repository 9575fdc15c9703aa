#include "fs.h"

enum { BLOCK = 512, NAME_ROOM = PATH_MAX };

void tar_open(struct tar *tar, const struct options *options) {
    memset(tar, 0, sizeof *tar);
    tar->fd = STDIN_FILENO;
    tar->has_slice = options->has_slice;
    tar->offset = options->offset;
    tar->slice_left = options->length;
    tar->max_bytes = options->max_bytes;
    tar->buffer = must_alloc(BUFFER_SIZE);
    sha256_init(&tar->hash);
    sha256_init(&tar->raw_hash);
}

/* Bytes as they come in. */
static size_t read_raw(void *context, uint8_t *into, size_t room) {
    struct tar *tar = context;
    ssize_t got;
    if (tar->has_slice) {
        size_t want = tar->slice_left < room ? (size_t)tar->slice_left : room;
        do got = want ? pread(tar->fd, into, want, tar->offset) : 0;
        while (got < 0 && errno == EINTR);
        if (got == 0 && want > 0) fail(EXIT_BAD_INPUT, "the archive is cut off");
        if (got > 0) {
            tar->offset += got;
            tar->slice_left -= (uint64_t)got;
        }
    } else {
        do got = read(tar->fd, into, room);
        while (got < 0 && errno == EINTR);
    }
    if (got < 0) fail_errno("reading the archive");
    tar->raw_total += (uint64_t)got;
    return (size_t)got;
}

/* Compressed bytes, with a digest of their own. `first` are those that told what it is. */
struct compressed { struct tar *tar; uint8_t *first; size_t first_left; };

static size_t read_compressed(void *context, uint8_t *into, size_t room) {
    struct compressed *compressed = context;
    size_t got;
    if (compressed->first_left > 0) {
        got = compressed->first_left < room ? compressed->first_left : room;
        memcpy(into, compressed->first, got);
        memmove(compressed->first, compressed->first + got, compressed->first_left -= got);
    } else {
        got = read_raw(compressed->tar, into, room);
    }
    sha256_update(&compressed->tar->raw_hash, into, got);
    return got;
}

/* The first bytes of the input; when they are gzip's, it is unpacked from then on. */
static size_t read_first(struct tar *tar) {
    size_t got = 0, more;
    while (got < 2 && (more = read_raw(tar, tar->buffer + got, BUFFER_SIZE - got)) > 0) got += more;
    if (got < 2 || tar->buffer[0] != 0x1f || tar->buffer[1] != 0x8b) return got;
    struct compressed *compressed = must_alloc(sizeof *compressed);
    *compressed = (struct compressed){.tar = tar, .first = must_alloc(got), .first_left = got};
    memcpy(compressed->first, tar->buffer, got);
    tar->gunzip = gunzip_open(read_compressed, compressed);
    return gunzip_read(tar->gunzip, tar->buffer, BUFFER_SIZE);
}

/* More bytes into the buffer; false at the end of the stream. */
static bool fill(struct tar *tar) {
    size_t got;
    tar->position = tar->filled = 0;
    if (tar->source) got = skeleton_read(tar->source, tar->buffer, BUFFER_SIZE);
    else if (tar->gunzip) got = gunzip_read(tar->gunzip, tar->buffer, BUFFER_SIZE);
    else if (tar->raw_total == 0) got = read_first(tar);
    else got = read_raw(tar, tar->buffer, BUFFER_SIZE);
    if (got == 0) return false;
    tar->filled = got;
    tar->total += got;
    if (tar->max_bytes && tar->total > tar->max_bytes)
        fail(EXIT_BAD_INPUT, "the archive is larger than the limit of %llu bytes", (unsigned long long)tar->max_bytes);
    /* A skeleton is hashed by whoever puts the payload back between its parts. */
    if (!tar->source) sha256_update(&tar->hash, tar->buffer, tar->filled);
    return true;
}

/* At most `max` bytes that are in the buffer now; 0 at the end of the stream. */
static size_t take(struct tar *tar, const uint8_t **data, uint64_t max, bool to_skeleton) {
    if (tar->position == tar->filled && !fill(tar)) return 0;
    size_t size = tar->filled - tar->position;
    if (size > max) size = (size_t)max;
    *data = tar->buffer + tar->position;
    tar->position += size;
    if (to_skeleton && tar->skeleton) skeleton_write(tar->skeleton, *data, size);
    if (to_skeleton && tar->echo) output_write(tar->echo, *data, size);
    return size;
}

static size_t read_exactly(struct tar *tar, uint8_t *into, size_t size) {
    size_t done = 0;
    while (done < size) {
        const uint8_t *data;
        size_t got = take(tar, &data, size - done, true);
        if (got == 0) break;
        if (into) memcpy(into + done, data, got);
        done += got;
    }
    return done;
}

static void skip(struct tar *tar, uint64_t size, bool to_skeleton) {
    while (size > 0) {
        const uint8_t *data;
        size_t got = take(tar, &data, size, to_skeleton);
        if (got == 0) fail(EXIT_BAD_INPUT, "entry %s: the archive is cut off", tar->entry.name ? tar->entry.name : "?");
        size -= got;
    }
}

size_t tar_payload(struct tar *tar, const uint8_t **data) {
    if (tar->payload_left == 0) return 0;
    size_t got = take(tar, data, tar->payload_left, tar->payload_to_skeleton);
    if (got == 0) fail(EXIT_BAD_INPUT, "entry %s: the archive is cut off", tar->entry.name);
    tar->payload_left -= got;
    return got;
}

void tar_drain(struct tar *tar) {
    const uint8_t *data;
    while (take(tar, &data, UINT64_MAX, true) > 0) continue;
}

static bool all_zero(const uint8_t *block) {
    for (int i = 0; i < BLOCK; i++)
        if (block[i]) return false;
    return true;
}

/* Octal text or, with the top bit set, a big-endian two's complement number. */
static int64_t number_field(const uint8_t *field, size_t size, const char *what, const char *name) {
    if (field[0] & 0x80) {
        uint64_t value = field[0] & 0x40 ? ~0ULL : 0;
        value = value << 6 | (field[0] & 0x3f);
        for (size_t i = 1; i < size; i++) {
            int64_t checked = (int64_t)value;
            if (checked > INT64_MAX >> 8 || checked < INT64_MIN >> 8)
                fail(EXIT_BAD_INPUT, "entry %s: its %s is out of range", name, what);
            value = value << 8 | field[i];
        }
        return (int64_t)value;
    }
    size_t i = 0;
    while (i < size && (field[i] == ' ' || field[i] == 0)) i++;
    int64_t value = 0;
    for (; i < size && field[i] != ' ' && field[i] != 0; i++) {
        if (field[i] < '0' || field[i] > '7') fail(EXIT_BAD_INPUT, "entry %s: its %s is not a number", name, what);
        value = value * 8 + (field[i] - '0');
    }
    return value;
}

static bool checksum_matches(const uint8_t *block) {
    int64_t unsigned_sum = 0, signed_sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= 148 && i < 156 ? ' ' : block[i];
        unsigned_sum += byte;
        signed_sum += (int8_t)byte;
    }
    char text[9] = {0};
    memcpy(text, block + 148, 8);
    int64_t stored = strtol(text, NULL, 8);
    return stored == unsigned_sum || stored == signed_sum;
}

static char *text_field(const uint8_t *field, size_t size) {
    size_t length = strnlen((const char *)field, size);
    char *text = must_alloc(length + 1);
    memcpy(text, field, length);
    return text;
}

/* What extended headers said about the entry that follows them. */
struct extension {
    char *name, *link;
    bool has_size, has_uid, has_gid, has_mtime;
    uint64_t size, uid, gid;
    int64_t mtime;
    long mtime_ns;
    struct xattr *xattrs;
    size_t xattr_count;
};

static uint64_t decimal(const char *text, const char *key) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-') fail(EXIT_BAD_INPUT, "extended header: bad %s %.40s", key, text);
    return value;
}

static void parse_time(struct extension *extension, const char *text) {
    char *end;
    errno = 0;
    long long seconds = strtoll(text, &end, 10);
    if (errno || end == text) fail(EXIT_BAD_INPUT, "extended header: bad mtime %.40s", text);
    long ns = 0;
    if (*end == '.') {
        long scale = 100000000;
        for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10) ns += (*end - '0') * scale;
    }
    if (*end) fail(EXIT_BAD_INPUT, "extended header: bad mtime %.40s", text);
    if (*text == '-' && ns > 0) {
        seconds--;
        ns = 1000000000 - ns;
    }
    extension->mtime = seconds;
    extension->mtime_ns = ns;
    extension->has_mtime = true;
}

static void apply_record(struct extension *extension, const char *key, const uint8_t *value, size_t size) {
    static const char XATTR[] = "SCHILY.xattr.";
    if (strncmp(key, XATTR, sizeof XATTR - 1) == 0) {
        if (extension->xattr_count >= 1024) fail(EXIT_BAD_INPUT, "extended header: more than 1024 xattrs");
        extension->xattrs = must_realloc(extension->xattrs, (extension->xattr_count + 1) * sizeof *extension->xattrs);
        struct xattr *xattr = &extension->xattrs[extension->xattr_count++];
        xattr->name = must_dup(key + sizeof XATTR - 1);
        xattr->value = must_alloc(size);
        memcpy(xattr->value, value, size);
        xattr->size = size;
        return;
    }
    if (strncmp(key, "GNU.sparse.", 11) == 0) fail(EXIT_UNSUPPORTED, "sparse archive entries are not supported");
    char *text = must_alloc(size + 1);
    memcpy(text, value, size);
    if (memchr(value, 0, size)) fail(EXIT_BAD_INPUT, "extended header: %s has a NUL byte", key);
    if (strcmp(key, "path") == 0) {
        free(extension->name);
        extension->name = text;
        return;
    }
    if (strcmp(key, "linkpath") == 0) {
        free(extension->link);
        extension->link = text;
        return;
    }
    if (strcmp(key, "size") == 0) {
        extension->size = decimal(text, key);
        extension->has_size = true;
    } else if (strcmp(key, "uid") == 0) {
        extension->uid = decimal(text, key);
        extension->has_uid = true;
    } else if (strcmp(key, "gid") == 0) {
        extension->gid = decimal(text, key);
        extension->has_gid = true;
    } else if (strcmp(key, "mtime") == 0) {
        parse_time(extension, text);
    }
    free(text);
}

static void parse_pax(struct extension *extension, uint8_t *data, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t length = 0, digits = 0;
        while (at + digits < size && data[at + digits] >= '0' && data[at + digits] <= '9' && digits < 9)
            length = length * 10 + (size_t)(data[at + digits++] - '0');
        if (digits == 0 || at + digits >= size || data[at + digits] != ' ' || length <= digits + 2 ||
            length > size - at || data[at + length - 1] != '\n')
            fail(EXIT_BAD_INPUT, "the archive has a broken extended header");
        uint8_t *key = data + at + digits + 1, *end = data + at + length - 1;
        uint8_t *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals) fail(EXIT_BAD_INPUT, "the archive has a broken extended header");
        *equals = 0;
        apply_record(extension, (const char *)key, equals + 1, (size_t)(end - equals - 1));
        at += length;
    }
}

/* The payload of a special header, bounded and with a NUL after it. */
static uint8_t *special(struct tar *tar, uint64_t size) {
    if (size > MAX_HEADER) fail(EXIT_BAD_INPUT, "the archive has an extended header of %llu bytes", (unsigned long long)size);
    uint8_t *data = must_alloc((size_t)size + 1);
    size_t padded = ((size_t)size + BLOCK - 1) / BLOCK * BLOCK;
    if (read_exactly(tar, data, (size_t)size) != size || read_exactly(tar, NULL, padded - (size_t)size) != padded - size)
        fail(EXIT_BAD_INPUT, "the archive is cut off");
    return data;
}

static void free_entry(struct entry *entry) {
    free(entry->name);
    free(entry->link);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        free(entry->xattrs[i].name);
        free(entry->xattrs[i].value);
    }
    free(entry->xattrs);
    memset(entry, 0, sizeof *entry);
}

static char *header_name(const uint8_t *block) {
    char *name = text_field(block, 100);
    if (memcmp(block + 257, "ustar\0", 6) != 0 || block[345] == 0) return name;
    char *prefix = text_field(block + 345, 155);
    char *joined = must_alloc(strlen(prefix) + strlen(name) + 2);
    sprintf(joined, "%s/%s", prefix, name);
    free(prefix);
    free(name);
    return joined;
}

static struct entry *finish_entry(struct tar *tar, struct extension *extension, const uint8_t *block) {
    struct entry *entry = &tar->entry;
    if (extension->name) entry->name = extension->name;
    else entry->name = header_name(block);
    entry->link = extension->link ? extension->link : text_field(block + 157, 100);
    const char *name = entry->name;
    size_t length = strlen(name);
    if (length == 0) fail(EXIT_BAD_INPUT, "the archive has an entry without a name");
    if (length >= NAME_ROOM) fail(EXIT_BAD_INPUT, "entry %.60s…: its name is too long", name);
    if (strlen(entry->link) >= NAME_ROOM) fail(EXIT_BAD_INPUT, "entry %s: its link is too long", name);
    entry->type = (char)block[156];
    if (entry->type == 0 || entry->type == '7') entry->type = '0';
    if (entry->type == '0' && name[length - 1] == '/') entry->type = '5';
    if (entry->type == 'S') fail(EXIT_UNSUPPORTED, "entry %s: sparse archive entries are not supported", name);
    if (entry->type < '0' || entry->type > '6')
        fail(EXIT_UNSUPPORTED, "entry %s: archive entries of type '%c' are not supported", name, entry->type);
    entry->mode = (mode_t)number_field(block + 100, 8, "mode", name) & 07777;
    int64_t uid = extension->has_uid ? (int64_t)extension->uid : number_field(block + 108, 8, "uid", name);
    int64_t gid = extension->has_gid ? (int64_t)extension->gid : number_field(block + 116, 8, "gid", name);
    if (uid < 0 || gid < 0 || uid > 0xfffffffeLL || gid > 0xfffffffeLL)
        fail(EXIT_BAD_INPUT, "entry %s: its owner is out of range", name);
    entry->uid = (uint64_t)uid;
    entry->gid = (uint64_t)gid;
    int64_t size = extension->has_size ? (int64_t)extension->size : number_field(block + 124, 12, "size", name);
    if (size < 0) fail(EXIT_BAD_INPUT, "entry %s: its size is out of range", name);
    entry->size = entry->type == '0' ? (uint64_t)size : 0;
    entry->mtime = extension->has_mtime ? extension->mtime : number_field(block + 136, 12, "mtime", name);
    entry->mtime_ns = extension->mtime_ns;
    if (entry->type == '3' || entry->type == '4') {
        entry->major = (unsigned)number_field(block + 329, 8, "major number", name);
        entry->minor = (unsigned)number_field(block + 337, 8, "minor number", name);
    }
    entry->xattrs = extension->xattrs;
    entry->xattr_count = extension->xattr_count;
    if (tar->max_bytes && entry->size > tar->max_bytes)
        fail(EXIT_BAD_INPUT, "entry %s: it is larger than the limit of %llu bytes", name, (unsigned long long)tar->max_bytes);
    tar->payload_left = entry->size;
    tar->padding_left = (BLOCK - entry->size % BLOCK) % BLOCK;
    tar->payload_to_skeleton = false;
    return entry;
}

struct entry *tar_next(struct tar *tar) {
    if (tar->ended) return NULL;
    if (tar->entry.name) {
        skip(tar, tar->payload_left, tar->payload_to_skeleton);
        skip(tar, tar->padding_left, true);
        tar->payload_left = tar->padding_left = 0;
    }
    free_entry(&tar->entry);
    struct extension extension = {0};
    bool extended = false;
    for (;;) {
        uint8_t block[BLOCK];
        size_t got = read_exactly(tar, block, BLOCK);
        if (got == 0 && !extended) {
            tar->ended = true;
            return NULL;
        }
        if (got < BLOCK) fail(EXIT_BAD_INPUT, "the archive is cut off");
        if (all_zero(block)) {
            if (extended) fail(EXIT_BAD_INPUT, "the archive ends after an extended header");
            tar->ended = true;
            return NULL;
        }
        if (!checksum_matches(block)) fail(EXIT_BAD_INPUT, "this is no tar archive, or it is damaged: bad header checksum");
        char type = (char)block[156];
        if (type == 'g' || type == 'x' || type == 'L' || type == 'K') {
            int64_t size = number_field(block + 124, 12, "size", "(extended header)");
            uint8_t *data = special(tar, size < 0 ? UINT64_MAX : (uint64_t)size);
            extended = extended || type != 'g';
            if (type == 'x') parse_pax(&extension, data, (size_t)size);
            if (type == 'L') {
                free(extension.name);
                extension.name = must_dup((char *)data);
            }
            if (type == 'K') {
                free(extension.link);
                extension.link = must_dup((char *)data);
            }
            free(data);
            continue;
        }
        return finish_entry(tar, &extension, block);
    }
}
