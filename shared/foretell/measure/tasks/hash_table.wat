;; Counts argument pseudo-random keys in a hash table with linear probing and returns
;; (different keys) + 2 ** 32 * (highest count). Keys are (state >> 8) mod argument of
;; x = x * 1664525 + 1013904223 from 12345, plus one; the table has the power of two of slots that
;; is at least twice the argument. A slot is a key and a count of 32 bits each.
;; Work grows with argument, and faster once the table no longer fits the caches.
;; Memory: 16 to 32 bytes per key, touched at random.
(module
  (memory (export "memory") 1)
  (global $random (mut i32) (i32.const 12345))

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $slots (param $keys i32) (result i32)
    (local $slots i32)
    (local.set $slots (i32.const 2))
    (block $done
      (loop $double
        (br_if $done
          (i32.ge_u (local.get $slots) (i32.shl (local.get $keys) (i32.const 1))))
        (local.set $slots (i32.shl (local.get $slots) (i32.const 1)))
        (br $double)))
    (local.get $slots))

  (func $key (param $modulus i32) (result i32)
    (global.set $random
      (i32.add (i32.mul (global.get $random) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.add
      (i32.rem_u (i32.shr_u (global.get $random) (i32.const 8)) (local.get $modulus))
      (i32.const 1)))

  ;; The address of the slot that holds the key, or of the free one where it belongs.
  (func $find (param $key i32) (param $mask i32) (result i32)
    (local $slot i32) (local $at i32) (local $held i32)
    (local.set $slot
      (i32.and (i32.mul (local.get $key) (i32.const 0x9e3779b1)) (local.get $mask)))
    (block $found
      (loop $probe
        (local.set $at (i32.shl (local.get $slot) (i32.const 3)))
        (local.set $held (i32.load (local.get $at)))
        (br_if $found (i32.eqz (local.get $held)))
        (br_if $found (i32.eq (local.get $held) (local.get $key)))
        (local.set $slot
          (i32.and (i32.add (local.get $slot) (i32.const 1)) (local.get $mask)))
        (br $probe)))
    (local.get $at))

  (func (export "run") (param $keys i32) (result i64)
    (local $slots i32) (local $left i32) (local $key i32) (local $at i32) (local $count i32)
    (local $different i64) (local $highest i32)
    (local.set $slots (call $slots (local.get $keys)))
    (call $need (i32.shl (local.get $slots) (i32.const 3)))
    (local.set $left (local.get $keys))
    (loop $next
      (local.set $key (call $key (local.get $keys)))
      (local.set $at
        (call $find (local.get $key) (i32.sub (local.get $slots) (i32.const 1))))
      (if (i32.eqz (i32.load (local.get $at)))
        (then
          (i32.store (local.get $at) (local.get $key))
          (local.set $different (i64.add (local.get $different) (i64.const 1)))))
      (local.set $count
        (i32.add (i32.load offset=4 (local.get $at)) (i32.const 1)))
      (i32.store offset=4 (local.get $at) (local.get $count))
      (if (i32.gt_u (local.get $count) (local.get $highest))
        (then (local.set $highest (local.get $count))))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i64.or
      (local.get $different)
      (i64.shl (i64.extend_i32_u (local.get $highest)) (i64.const 32)))))
