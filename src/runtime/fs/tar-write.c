#include "fs.h"

enum { BLOCK = 512 };

void output_open(struct output *output, bool discard) {
    memset(output, 0, sizeof *output);
    output->discard = discard;
    output->buffer = must_alloc(BUFFER_SIZE);
    sha256_init(&output->hash);
}

void output_flush(struct output *output) {
    sha256_update(&output->hash, output->buffer, output->used);
    output->total += output->used;
    for (size_t done = 0; !output->discard && done < output->used;) {
        ssize_t put = write(STDOUT_FILENO, output->buffer + done, output->used - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail_errno("writing the archive");
        done += (size_t)put;
    }
    output->used = 0;
}

void output_write(struct output *output, const void *data, size_t size) {
    const uint8_t *bytes = data;
    while (size > 0) {
        size_t take = BUFFER_SIZE - output->used < size ? BUFFER_SIZE - output->used : size;
        memcpy(output->buffer + output->used, bytes, take);
        output->used += take;
        bytes += take;
        size -= take;
        if (output->used == BUFFER_SIZE) output_flush(output);
    }
}

void output_pad(struct output *output, uint64_t size) {
    static const uint8_t zeros[BLOCK];
    output_write(output, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

static void octal(uint8_t *field, size_t size, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, text, size);
}

struct records { char *data; size_t size; };

static void add_record(struct records *records, const char *key, const void *value, size_t size) {
    size_t body = strlen(key) + size + 3, length = body + 1;
    for (;;) {
        char digits[24];
        size_t total = body + (size_t)snprintf(digits, sizeof digits, "%zu", length);
        if (total == length) break;
        length = total;
    }
    records->data = must_realloc(records->data, records->size + length + 1);
    int head = sprintf(records->data + records->size, "%zu %s=", length, key);
    memcpy(records->data + records->size + head, value, size);
    records->data[records->size + length - 1] = '\n';
    records->size += length;
}

static void add_text(struct records *records, const char *key, const char *text) {
    add_record(records, key, text, strlen(text));
}

static void add_number(struct records *records, const char *key, long long value) {
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    add_text(records, key, text);
}

static void put_block(struct output *output, uint8_t block[BLOCK]) {
    memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
    block[155] = ' ';
    output_write(output, block, BLOCK);
}

/* Puts a name into name and prefix; false when ustar has no room for it or when it is not plain ASCII. */
static bool place_name(uint8_t *block, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] >= 0x80) return false;
    if (length <= 100) {
        memcpy(block, name, length);
        return true;
    }
    if (length > 256) return false;
    for (size_t at = length - 1; at > 0; at--) {
        if (name[at] != '/' || at > 155 || length - at - 1 > 100 || length - at - 1 == 0) continue;
        memcpy(block + 345, name, at);
        memcpy(block, name + at + 1, length - at - 1);
        return true;
    }
    return false;
}

static bool place_link(uint8_t *block, const char *link) {
    size_t length = strlen(link);
    if (length > 100) return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)link[i] >= 0x80) return false;
    memcpy(block + 157, link, length);
    return true;
}

void write_header(struct output *output, const struct entry *entry) {
    uint8_t block[BLOCK] = {0};
    struct records records = {0};
    memcpy(block + 257, "ustar\00000", 8);
    block[156] = (uint8_t)entry->type;
    if (!place_name(block, entry->name)) {
        add_text(&records, "path", entry->name);
        memcpy(block, entry->name, strnlen(entry->name, 100));
    }
    if (entry->link && *entry->link && !place_link(block, entry->link)) {
        add_text(&records, "linkpath", entry->link);
        memcpy(block + 157, entry->link, strnlen(entry->link, 100));
    }
    octal(block + 100, 8, entry->mode & 07777);
    octal(block + 108, 8, entry->uid <= 07777777 ? entry->uid : 0);
    octal(block + 116, 8, entry->gid <= 07777777 ? entry->gid : 0);
    octal(block + 124, 12, entry->size <= 077777777777ULL ? entry->size : 0);
    octal(block + 136, 12, entry->mtime >= 0 && entry->mtime <= 077777777777LL ? (uint64_t)entry->mtime : 0);
    octal(block + 329, 8, entry->major);
    octal(block + 337, 8, entry->minor);
    if (entry->uid > 07777777) add_number(&records, "uid", (long long)entry->uid);
    if (entry->gid > 07777777) add_number(&records, "gid", (long long)entry->gid);
    if (entry->size > 077777777777ULL) add_number(&records, "size", (long long)entry->size);
    if (entry->mtime < 0 || entry->mtime > 077777777777LL) add_number(&records, "mtime", entry->mtime);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        char *key = must_alloc(strlen(entry->xattrs[i].name) + 14);
        sprintf(key, "SCHILY.xattr.%s", entry->xattrs[i].name);
        add_record(&records, key, entry->xattrs[i].value, entry->xattrs[i].size);
        free(key);
    }
    if (records.size > 0) {
        uint8_t extended[BLOCK] = {0};
        memcpy(extended, "PaxHeaders.0/entry", 18);
        memcpy(extended + 257, "ustar\00000", 8);
        extended[156] = 'x';
        octal(extended + 100, 8, 0644);
        octal(extended + 108, 8, 0);
        octal(extended + 116, 8, 0);
        octal(extended + 124, 12, records.size);
        octal(extended + 136, 12, 0);
        put_block(output, extended);
        output_write(output, records.data, records.size);
        output_pad(output, records.size);
    }
    free(records.data);
    put_block(output, block);
}
