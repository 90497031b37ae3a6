;; Transposes an argument x argument matrix of 32-bit words into a second one, column by column, and
;; returns the sum of every cell times its place (mod 2 ** 32). Cell k holds k * 2654435761.
;; Work grows with argument ** 2, and faster once a column no longer fits the caches.
;; Memory: two matrices.
(module
  (memory (export "memory") 1)

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
    (local $at i32) (local $value i32)
    (loop $next
      (i32.store (local.get $at) (local.get $value))
      (local.set $value (i32.add (local.get $value) (i32.const 0x9e3779b1)))
      (br_if $next
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $bytes)))))

  (func $turn (param $n i32) (param $bytes i32)
    (local $stride i32) (local $row i32) (local $from i32) (local $to i32) (local $column i32)
    (local.set $stride (i32.shl (local.get $n) (i32.const 2)))
    (local.set $to (local.get $bytes))
    (loop $columns
      (local.set $from (i32.shl (local.get $column) (i32.const 2)))
      (local.set $row (local.get $n))
      (loop $rows
        (i32.store (local.get $to) (i32.load (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $from (i32.add (local.get $from) (local.get $stride)))
        (br_if $rows (local.tee $row (i32.sub (local.get $row) (i32.const 1)))))
      (br_if $columns
        (i32.lt_u
          (local.tee $column (i32.add (local.get $column) (i32.const 1)))
          (local.get $n)))))

  (func $checksum (param $at i32) (param $count i32) (result i32)
    (local $k i32) (local $sum i32)
    (loop $next
      (local.set $sum
        (i32.add (local.get $sum) (i32.mul (local.get $k) (i32.load (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $count))))
    (local.get $sum))

  (func (export "run") (param $n i32) (result i32)
    (local $cells i32) (local $bytes i32)
    (local.set $cells (i32.mul (local.get $n) (local.get $n)))
    (local.set $bytes (i32.shl (local.get $cells) (i32.const 2)))
    (call $need (i32.shl (local.get $bytes) (i32.const 1)))
    (call $fill (local.get $bytes))
    (call $turn (local.get $n) (local.get $bytes))
    (call $checksum (local.get $bytes) (local.get $cells))))
