;; Sorts argument 32-bit numbers from a linear congruential generator with a recursive quicksort
;; (middle pivot, Hoare partition) and returns the sum of every number times its place, mod 2 ** 64.
;; The generator starts at 12345: x = x * 1664525 + 1013904223.
;; Work grows with argument * log(argument). Memory: the numbers.
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

  (func $fill (param $bytes i32)
    (local $at i32)
    (loop $next
      (global.set $random
        (i32.add (i32.mul (global.get $random) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store (local.get $at) (global.get $random))
      (br_if $next
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $bytes)))))

  ;; Both ends are byte addresses and inclusive.
  (func $sort (param $low i32) (param $high i32)
    (local $i i32) (local $j i32) (local $pivot i32) (local $held i32)
    (if (i32.ge_s (local.get $low) (local.get $high)) (then (return)))
    (local.set $i (local.get $low))
    (local.set $j (local.get $high))
    (local.set $pivot
      (i32.load
        (i32.and
          (i32.shr_u (i32.add (local.get $low) (local.get $high)) (i32.const 1))
          (i32.const -4))))
    (loop $partition
      (block $found
        (loop $up
          (br_if $found (i32.ge_u (i32.load (local.get $i)) (local.get $pivot)))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (br $up)))
      (block $found
        (loop $down
          (br_if $found (i32.le_u (i32.load (local.get $j)) (local.get $pivot)))
          (local.set $j (i32.sub (local.get $j) (i32.const 4)))
          (br $down)))
      (if (i32.le_s (local.get $i) (local.get $j))
        (then
          (local.set $held (i32.load (local.get $i)))
          (i32.store (local.get $i) (i32.load (local.get $j)))
          (i32.store (local.get $j) (local.get $held))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (local.set $j (i32.sub (local.get $j) (i32.const 4)))))
      (br_if $partition (i32.le_s (local.get $i) (local.get $j))))
    (call $sort (local.get $low) (local.get $j))
    (call $sort (local.get $i) (local.get $high)))

  (func $checksum (param $count i32) (result i64)
    (local $k i32) (local $sum i64)
    (loop $next
      (local.set $sum
        (i64.add (local.get $sum)
          (i64.mul
            (i64.extend_i32_u (local.get $k))
            (i64.load32_u (i32.shl (local.get $k) (i32.const 2))))))
      (br_if $next
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $count))))
    (local.get $sum))

  (func (export "run") (param $count i32) (result i64)
    (local $bytes i32)
    (local.set $bytes (i32.shl (local.get $count) (i32.const 2)))
    (call $need (local.get $bytes))
    (call $fill (local.get $bytes))
    (call $sort (i32.const 0) (i32.sub (local.get $bytes) (i32.const 4)))
    (call $checksum (local.get $count))))
