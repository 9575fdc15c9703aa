#include "fs.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct pack {
    const struct options *options;
    struct output output;
    struct links links;
    uint64_t size, entries;
};

void output_file(struct output *output, int fd, uint64_t size, const char *shown) {
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint64_t done = 0; done < size;) {
        if (output->used == BUFFER_SIZE) output_flush(output);
        size_t room = BUFFER_SIZE - output->used;
        if (room > size - done) room = (size_t)(size - done);
        ssize_t got = read(fd, output->buffer + output->used, room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_errno(shown);
        if (got == 0) {
            memset(output->buffer + output->used, 0, room);
            got = (ssize_t)room;
        }
        output->used += (size_t)got;
        done += (uint64_t)got;
    }
}

void output_summary(struct output *output, uint64_t size, uint64_t entries) {
    char hex[65];
    output_flush(output);
    sha256_hex(&output->hash, hex);
    if (output->discard)
        printf("{\"digest\":\"%s\",\"bytes\":%llu,\"size\":%llu,\"entries\":%llu}\n", hex,
               (unsigned long long)output->total, (unsigned long long)size, (unsigned long long)entries);
}

const char *first_name(struct links *links, const struct stat *st, const char *path) {
    char key[64];
    snprintf(key, sizeof key, "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
    uint64_t *slot = set_find(&links->names, key, true);
    if (*slot) return (const char *)(uintptr_t)*slot;
    *slot = (uint64_t)(uintptr_t)must_dup(path);
    return NULL;
}

static int compare_xattrs(const void *a, const void *b) {
    return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static void read_xattrs(struct entry *entry, int fd, const char *shown) {
    char list[65536];
    ssize_t length = flistxattr(fd, list, sizeof list);
    if (length < 0) {
        if (errno == ENOTSUP || errno == EBADF) return;
        fail_errno(shown);
    }
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1) {
        if (!is_kept_xattr(list + at)) continue;
        uint8_t value[65536];
        ssize_t got = fgetxattr(fd, list + at, value, sizeof value);
        if (got < 0) continue;
        entry->xattrs = must_realloc(entry->xattrs, (entry->xattr_count + 1) * sizeof *entry->xattrs);
        struct xattr *xattr = &entry->xattrs[entry->xattr_count++];
        xattr->name = must_dup(list + at);
        xattr->value = must_alloc((size_t)got);
        memcpy(xattr->value, value, (size_t)got);
        xattr->size = (size_t)got;
    }
    if (entry->xattr_count > 1) qsort(entry->xattrs, entry->xattr_count, sizeof *entry->xattrs, compare_xattrs);
}

static bool is_excluded(const struct pack *pack, const char *path) {
    for (size_t i = 0; i < pack->options->exclude_count; i++) {
        const char *excluded = pack->options->exclude[i];
        while (*excluded == '/') excluded++;
        if (strcmp(excluded, path) == 0) return true;
    }
    return false;
}

static void put_marker(struct pack *pack, const char *directory, const char *prefix, const char *name) {
    struct entry entry = {.type = '0'};
    entry.name = must_alloc(strlen(directory) + strlen(prefix) + strlen(name) + 2);
    sprintf(entry.name, "%s%s%s", directory, prefix, name);
    write_header(&pack->output, &entry);
    pack->entries++;
    free(entry.name);
}

static char *join(const char *directory, const char *name) {
    char *path = must_alloc(strlen(directory) + strlen(name) + 2);
    sprintf(path, "%s%s%s", directory, *directory && directory[strlen(directory) - 1] != '/' ? "/" : "", name);
    return path;
}

static void pack_entry(struct pack *pack, int parent, const char *name, const char *inside, const char *shown, bool top);

static void pack_content(struct pack *pack, int directory, const char *inside, const char *shown) {
    struct names names = read_names(directory, shown);
    for (size_t i = 0; i < names.count; i++) {
        char *path = join(inside, names.list[i]), *entry_name = join(shown, names.list[i]);
        if (!is_excluded(pack, path)) pack_entry(pack, directory, names.list[i], path, entry_name, false);
        free(path);
        free(entry_name);
    }
    free_names(&names);
}

static bool is_opaque(int directory) {
    char value[2];
    return fgetxattr(directory, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

static void pack_directory(struct pack *pack, struct entry *entry, int fd, const char *inside, const char *shown, bool top) {
    char *with_slash = join(shown, "");
    bool layer = pack->options->mode == MODE_LAYER;
    entry->type = '5';
    read_xattrs(entry, fd, shown);
    if (*with_slash && !(layer && top)) {
        free(entry->name);
        entry->name = must_dup(with_slash);
        write_header(&pack->output, entry);
        pack->entries++;
    }
    if (layer && is_opaque(fd)) put_marker(pack, with_slash, ".wh..wh.", ".opq");
    pack_content(pack, fd, inside, with_slash);
    free(with_slash);
}

/* `inside`: clean path in the target; `shown`: name in the archive. */
static void pack_entry(struct pack *pack, int parent, const char *name, const char *inside, const char *shown, bool top) {
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT && !top) return; /* gone since its directory was read */
        fail_errno(shown);
    }
    if (S_ISSOCK(st.st_mode)) return; /* archives have no sockets */
    bool layer = pack->options->mode == MODE_LAYER;
    if (layer && is_whiteout(&st)) {
        const char *base;
        char *above = parent_of(shown, &base), *directory = *above ? join(above, "") : must_dup("");
        put_marker(pack, directory, ".wh.", base);
        free(directory);
        free(above);
        return;
    }
    struct entry entry = {
        .name = must_dup(shown), .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtim.tv_sec,
    };
    if (pack->options->has_max_mtime && entry.mtime > pack->options->max_mtime) entry.mtime = pack->options->max_mtime;
    const char *first = !S_ISDIR(st.st_mode) && st.st_nlink > 1 ? first_name(&pack->links, &st, shown) : NULL;
    if (first) {
        entry.type = '1';
        entry.link = must_dup(first);
        write_header(&pack->output, &entry);
    } else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
        if (fd < 0) {
            if (errno == ENOENT && !top) {
                free(entry.name);
                return;
            }
            fail_errno(shown);
        }
        if (S_ISDIR(st.st_mode)) {
            pack_directory(pack, &entry, fd, inside, shown, top);
            pack->entries--;
        } else {
            entry.type = '0';
            entry.size = (uint64_t)st.st_size;
            read_xattrs(&entry, fd, shown);
            write_header(&pack->output, &entry);
            output_file(&pack->output, fd, entry.size, shown);
            output_pad(&pack->output, entry.size);
            pack->size += entry.size;
        }
        close(fd);
    } else {
        entry.type = S_ISLNK(st.st_mode) ? '2' : S_ISCHR(st.st_mode) ? '3' : S_ISBLK(st.st_mode) ? '4' : '6';
        if (entry.type == '2') {
            entry.link = must_alloc(PATH_MAX + 1);
            if (readlinkat(parent, name, entry.link, PATH_MAX) < 0) fail_errno(shown);
            entry.mode = 0777;
        }
        if (entry.type == '3' || entry.type == '4') {
            entry.major = major(st.st_rdev);
            entry.minor = minor(st.st_rdev);
        }
        write_header(&pack->output, &entry);
    }
    pack->entries++;
    for (size_t i = 0; i < entry.xattr_count; i++) {
        free(entry.xattrs[i].name);
        free(entry.xattrs[i].value);
    }
    free(entry.xattrs);
    free(entry.name);
    free(entry.link);
}

void verb_pack(const struct options *options, int root) {
    struct pack pack = {.options = options};
    output_open(&pack.output, options->digest_only);
    char *resolved = resolve_text(root, options->arguments[0], options->follow);
    char *clean = clean_path(resolved);
    const char *base;
    char *above = parent_of(clean, &base);
    int parent = open_in(root, above, O_PATH | O_DIRECTORY, 0);
    if (parent < 0) fail_errno(options->arguments[0]);
    char *asked = clean_path(options->arguments[0]);
    const char *asked_base;
    free(parent_of(asked ? asked : clean, &asked_base));
    const char *name = options->name ? options->name : *asked_base ? asked_base : options->mode == MODE_LAYER ? "" : ".";
    pack_entry(&pack, parent, *base ? base : ".", clean, name, true);
    static const uint8_t end[1024];
    output_write(&pack.output, end, sizeof end);
    output_summary(&pack.output, pack.size, pack.entries);
    free(above);
    free(clean);
    free(resolved);
}

/* Puts the payloads of a layer's files back between the parts of its skeleton. */
void verb_assemble(const struct options *options) {
    struct tar tar;
    struct output output;
    uint64_t size = 0, entries = 0;
    output_open(&output, options->digest_only);
    tar_open(&tar, options);
    tar.max_bytes = 0;
    tar.source = skeleton_open(options->skeleton);
    struct stash stash = {0};
    stash_open(&stash, options->skeleton);
    int root = enter_target(options);
    tar.echo = &output;
    const struct entry *entry;
    while ((entry = tar_next(&tar))) {
        entries++;
        if (entry->size == 0) continue;
        char *path = clean_path(entry->name);
        if (!path) fail(EXIT_BAD_INPUT, "entry %s: it leads out of the archive", entry->name);
        const char *base;
        free(parent_of(path, &base));
        if (is_marker(path, base)) {
            tar.payload_to_skeleton = true;
        } else {
            int fd = stash_take(&stash, path);
            if (fd < 0) fd = open_in(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
            if (fd < 0) fail(EXIT_BAD_INPUT, "entry %s: the layer has lost it", entry->name);
            output_file(&output, fd, entry->size, entry->name);
            close(fd);
            size += entry->size;
            tar.payload_left = 0;
        }
        free(path);
    }
    tar_drain(&tar);
    output_summary(&output, size, entries);
}
